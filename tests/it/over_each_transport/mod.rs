//! What users meet whatever carries their calls: one body for each test, run over each transport.

mod authenticate;
mod lifecycle;

use e2e::{DaemonOptions, Via};

use crate::support::Service;

/// Defines each of the tests for each transport, in a module of that name.
macro_rules! over_each_transport {
    ($($name:ident)*) => {
        over_each_transport! { @via unix Unix: $($name)* }
        over_each_transport! { @via tcp Tcp: $($name)* }
        over_each_transport! { @via quic Quic: $($name)* }
    };
    (@via $module:ident $via:ident: $($name:ident)*) => {
        mod $module {
            $(
                #[test]
                fn $name() {
                    super::$name($crate::over_each_transport::service_over(e2e::Via::$via));
                }
            )*
        }
    };
}
use over_each_transport;

/// A daemon that is reached by one transport, and by no other.
fn service_over(via: Via) -> Service {
    Service::start_with(DaemonOptions { via, ..DaemonOptions::default() })
}
