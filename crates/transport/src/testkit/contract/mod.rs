//! The contract of [`Transport`], as tests. A transport's `tests/it` implements [`Harness`] and calls
//! [`contract_tests!`](crate::contract_tests); one that carries TLS over byte streams also implements
//! [`ByteStreamHarness`] and calls [`byte_stream_contract_tests!`](crate::byte_stream_contract_tests).
//!
//! A test that waits for something to happen waits for that very thing, under [`run`](super::run)'s
//! deadline. Only where nothing must happen is time what is waited for: [`QUIET`].

mod accepting;
mod byte_streams;
mod clients;
mod closing;
mod servers;
mod service;
mod streams;

use std::any::Any;
use std::time::Duration;

use async_trait::async_trait;
use tokio_rustls::rustls::{ALL_VERSIONS, SupportedProtocolVersion};

pub use self::accepting::*;
pub use self::byte_streams::*;
pub use self::clients::*;
pub use self::closing::*;
pub use self::servers::*;
pub use self::streams::*;
use crate::{Endpoint, Stream, Transport};

/// A transport under test.
#[async_trait]
pub trait Harness: Send + Sync + 'static {
    /// Made once for each test; whatever it holds goes when the test ends.
    fn new() -> Self;

    /// The transport.
    fn transport(&self) -> Box<dyn Transport>;

    /// An address on which nothing listens yet.
    fn endpoint(&self) -> Endpoint;

    /// The TLS versions that it speaks.
    fn tls_versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        ALL_VERSIONS
    }

    /// Peers that connect and then say nothing more, one for each moment of the handshake at which that
    /// can be. They are gone when the values are dropped. [`stalled_byte_streams`] makes them of streams.
    async fn stalled_peers(&self, at: &Endpoint) -> Vec<Box<dyn Any + Send>>;
}

/// A transport under test that carries TLS over one byte stream a connection, each on a descriptor.
#[async_trait]
pub trait ByteStreamHarness: Harness {
    /// Connects without TLS.
    async fn connect_raw(&self, at: &Endpoint) -> Stream;
}

/// Defines the tests that every transport passes, for a [`Harness`].
#[macro_export]
macro_rules! contract_tests {
    ($harness:ty) => {
        $crate::contract_tests! {
            @tests $harness:
            every_kind_of_certificate_is_delivered
            a_client_without_a_certificate_is_let_in_as_nobody
            the_server_names_no_authorities
            a_certificate_without_its_key_is_refused
            possession_is_proven_on_every_connection
            a_client_that_knows_only_p256_is_answered
            a_server_under_another_root_is_not_trusted
            a_server_is_known_by_the_fingerprint_of_its_root
            a_renewed_certificate_is_shown_from_then_on
            nothing_listens
            a_peer_that_stalls_holds_up_no_one
            a_crowd_waits_its_turn
            a_refused_peer_is_sent_away
            a_handshake_that_is_dropped_is_aborted
            accept_may_be_cancelled
            bytes_arrive_in_order_both_ways
            one_side_may_finish_before_the_other
            a_writer_waits_for_a_slow_reader
            a_closer_cuts_at_once
            a_closer_cuts_its_own_connection_only
            closing_waits_for_live_streams_until_its_deadline
            closing_cuts_a_handshake_at_its_deadline
            closing_ends_with_the_last_stream
            an_address_can_be_used_again
        }
    };
    (@tests $harness:ty: $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $crate::testkit::run($crate::testkit::contract::$name::<$harness>());
            }
        )*
    };
}

/// Defines the further tests of a transport with a byte stream a connection, for a [`ByteStreamHarness`].
#[macro_export]
macro_rules! byte_stream_contract_tests {
    ($harness:ty) => {
        $crate::contract_tests! {
            @tests $harness:
            a_client_without_alpn_is_answered
            a_client_of_the_stock_service_is_answered
            a_connection_has_one_stream
            what_is_no_tls_is_refused
        }

        #[cfg(unix)]
        #[test]
        fn running_out_of_descriptors_is_transient() {
            let path = concat!(module_path!(), "::running_out_of_descriptors_is_transient");
            $crate::testkit::alone(path, || {
                $crate::testkit::run($crate::testkit::contract::running_out_of_descriptors_is_transient::<
                    $harness,
                >());
            });
        }
    };
}

/// How long nothing must happen before it counts as not happening.
pub const QUIET: Duration = Duration::from_millis(200);

/// How soon something must happen that is to happen at once.
const AT_ONCE: Duration = Duration::from_secs(5);
