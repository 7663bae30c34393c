//! The MySQL codec: packets made by hand, captures of real clients, arbitrary bytes.

mod answers;
mod captures;
mod handshake;
#[path = "../sessions/mysql.rs"]
mod mysql;
mod packets;
mod parameters;
mod properties;
mod refusals;
#[path = "../sessions/mod.rs"]
mod sessions;
mod statements;
mod support;
