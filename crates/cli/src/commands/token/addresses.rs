//! Where a token says that the service is.

use transport::Endpoint;

use crate::connection::transports::is_wildcard;
use crate::credentials::token::MAX_ADDRESSES;

/// The addresses of a token, the best first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TokenAddresses {
    /// The addresses.
    pub(super) chosen: Vec<Endpoint>,
    /// Whether another machine can reach the service at none of them, as far as they tell.
    pub(super) are_local: bool,
    /// An address on which the service listens for all of its machine's, of which this client knows none.
    pub(super) unnamed: Option<Endpoint>,
}

/// The addresses that were `named`; without any, those that are known: the one that this client has `used`, if that is
/// on another machine, and those on which the service `listens` for other machines. If there are none, those on which it
/// listens for its own.
pub(super) fn select(named: &[Endpoint], used: &Endpoint, listens: &[Endpoint]) -> TokenAddresses {
    let mut elsewhere: Vec<Endpoint> = named.to_vec();
    if named.is_empty() {
        let used = Some(used).filter(|used| !used.is_on_this_machine());
        let known = used.into_iter().chain(listens.iter().filter(|at| !at.is_on_this_machine()));
        for address in known.filter(|at| !is_wildcard(at)) {
            if !elsewhere.contains(address) {
                elsewhere.push(address.clone());
            }
        }
    }
    let mut chosen = elsewhere;
    if chosen.is_empty() {
        chosen.extend(listens.iter().filter(|at| at.is_on_this_machine()).cloned());
    }
    chosen.truncate(MAX_ADDRESSES);
    let are_local = chosen.iter().all(Endpoint::is_on_this_machine);
    let unnamed = listens.iter().find(|at| are_local && is_wildcard(at)).cloned();
    TokenAddresses { chosen, are_local, unnamed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(texts: &[&str]) -> Vec<Endpoint> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    }

    #[test]
    fn the_best_addresses_come_first() {
        const SOCKET: &str = "unix:/run/multipass_socket";
        const LOOPBACK: &str = "127.0.0.1:50051";
        const REMOTE: &str = "192.0.2.1:50051";
        const NAME: &str = "server.example:50051";
        const ALL: &str = "0.0.0.0:50051";
        for (named, used, listens, chosen, are_local, unnamed) in [
            // What was named, and nothing else.
            (&[NAME, SOCKET][..], REMOTE, &[SOCKET, REMOTE][..], &[NAME, SOCKET][..], false, None),
            (&[SOCKET], REMOTE, &[REMOTE], &[SOCKET], true, None),
            // What others can dial goes before what only this machine can.
            (&[], SOCKET, &[SOCKET, LOOPBACK, REMOTE], &[REMOTE], false, None),
            (&[], NAME, &[SOCKET, REMOTE], &[NAME, REMOTE], false, None),
            (&[], REMOTE, &[SOCKET, REMOTE], &[REMOTE], false, None),
            (&[], NAME, &[SOCKET, ALL], &[NAME], false, None),
            // A tunnel's end is nothing to others.
            (&[], "localhost:7", &[SOCKET, LOOPBACK], &[SOCKET, LOOPBACK], true, None),
            (&[], SOCKET, &[SOCKET], &[SOCKET], true, None),
            (&[], SOCKET, &[SOCKET, ALL], &[SOCKET], true, Some(ALL)),
            (&[], ALL, &[ALL, "quic:[::]:7"], &[], true, Some(ALL)),
            (&[], SOCKET, &[], &[], true, None),
        ] {
            let expected = TokenAddresses {
                chosen: endpoints(chosen),
                are_local,
                unnamed: unnamed.map(|at| at.parse().expect("an address")),
            };
            let used = used.parse().expect("an address");
            assert_eq!(
                select(&endpoints(named), &used, &endpoints(listens)),
                expected,
                "{named:?} {used} {listens:?}"
            );
        }
    }

    #[test]
    fn a_service_with_many_addresses_has_the_first_ones_in_its_tokens() {
        let many: Vec<Endpoint> =
            (1..=20).map(|port| format!("a:{port}").parse().expect("an address")).collect();
        let found = select(&[], &"b:1".parse().expect("an address"), &many);
        assert_eq!(found.chosen.len(), MAX_ADDRESSES);
        assert_eq!(found.chosen[0].to_string(), "b:1");
    }
}
