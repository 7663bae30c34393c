//! Taps from the outside: real AMQP sessions through the codec, and plain TCP peers through whole taps.

mod captures;
mod cuts;
mod fuzz;
mod gates;
mod outages;
mod shapes;
mod states;
mod support;
mod transparency;
