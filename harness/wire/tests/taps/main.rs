//! Taps from the outside: real AMQP sessions through the codec, and plain TCP peers through whole taps.

#[path = "../sessions/amqp.rs"]
mod amqp;
mod captures;
mod cuts;
mod fuzz;
mod gates;
mod lost;
mod outages;
#[path = "../sessions/mod.rs"]
mod sessions;
mod shapes;
mod states;
mod support;
mod transparency;
