//! The MySQL codec: packets made by hand, captures of real clients, arbitrary bytes.

mod answers;
mod captures;
mod handshake;
mod packets;
mod parameters;
mod properties;
mod refusals;
mod statements;
mod support;
