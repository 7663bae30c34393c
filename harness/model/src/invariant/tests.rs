//! Planted evidence: for each invariant something bad that it must reject, in exact words, and something ugly but legal
//! that it must accept. What is accepted is judged by all invariants at once, so none of them flags it by mistake.

mod account;
mod atomic;
mod concurrency;
mod context;
mod dead;
mod duplicates;
mod effects;
mod end;
mod fidelity;
mod goldens;
mod graceful;
mod health;
mod left_over;
mod links;
mod loss;
mod measures;
mod outside;
mod progress;
mod publisher;
mod reconnects;
mod registry;
mod retries;
mod vacuous;
