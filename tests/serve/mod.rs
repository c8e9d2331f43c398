//! `inorder serve` as clients meet it: the real program, lines of JSON in and out.

mod asking;
mod bad_clients;
mod batch;
mod calls;
mod client;
mod ending;
mod http;
mod http_client;
mod http_clients;
mod listing;
mod many;
mod reload;
mod rest;
