//! The way to the service: its address, a transport for it, its socket, and whether anybody answers.

use std::io;
use std::path::Path;

use transport::tls::{CertificateDates, ClientTls, PresentedValidity};
use transport::{ConnectError, Endpoint, Transport};

use super::remedy;
use super::report::{Report, Verdict};
use super::{ACCESS, ADDRESS, CONNECTION, SOCKET, TRANSPORT};
use crate::connection::{ADDRESS_VARIABLE, Context, SelectedRemote, ServiceSource, dial, transports};
use crate::error::Error;
use crate::platform::{self, Denial, Listener, SocketFile};
use crate::terminal::text;

/// Where the service should be.
pub(super) struct Route {
    pub(super) endpoint: Endpoint,
    pub(super) transport: Box<dyn Transport>,
    /// Its socket's file, if that is how it is reached.
    pub(super) socket: Option<SocketFile>,
}

/// Somebody who answered as a service does. Nothing is proven of it.
pub(super) struct UnverifiedServer {
    /// Who listens, where the system tells it.
    pub(super) listener: Option<Listener>,
    /// What it presented.
    pub(super) presented: PresentedValidity,
}

/// The route, as far as it can be seen without taking it.
pub(super) fn find(context: &Context, report: &mut Report) -> Option<Route> {
    let Some(endpoint) = report.take(ADDRESS, address(context)) else {
        report.skip_all(&[TRANSPORT, SOCKET, ACCESS]);
        return None;
    };
    let Some(transport) = report.take(TRANSPORT, transport(context, &endpoint)) else {
        report.skip_all(&[SOCKET, ACCESS]);
        return None;
    };
    let Endpoint::Unix(path) = &endpoint else {
        for check in [SOCKET, ACCESS] {
            report.add(check, Verdict::skipped("the address is not that of a Unix socket"));
        }
        return Some(Route { endpoint, transport, socket: None });
    };
    let Some(socket) = report.take(SOCKET, socket(context, &endpoint, path)) else {
        report.skip_all(&[ACCESS]);
        return None;
    };
    report.take(ACCESS, access(context, path, &socket))?;
    Some(Route { endpoint, transport, socket: Some(socket) })
}

fn address(context: &Context) -> Result<(Endpoint, Verdict), Verdict> {
    match context.endpoint() {
        Ok(endpoint) => {
            let verdict = Verdict::passed(format!("{endpoint} ({})", describe_source(context)));
            Ok((endpoint, verdict))
        }
        Err(error @ Error::Address(_)) => Err(Verdict::problem(
            error.message(),
            "Correct it, or use the default address:",
            remedy::use_default_service(context),
        )),
        Err(error) => Err(Verdict::problem(
            error.message(),
            format!(
                "{} Or use this machine's own service:",
                error.next_step().unwrap_or_else(|| "Fix this.".to_owned())
            ),
            remedy::use_default_service(context),
        )),
    }
}

/// What says that the service is at its address.
fn describe_source(context: &Context) -> String {
    let Ok(Some(SelectedRemote { remote, source })) = context.selected_remote() else {
        let is_named = context.service_source() == ServiceSource::AddressVariable;
        return if is_named { ADDRESS_VARIABLE } else { "default" }.to_owned();
    };
    let by = match source {
        ServiceSource::RemoteOption => "by --remote",
        ServiceSource::RemoteVariable => "by MULTIPASS_REMOTE",
        ServiceSource::AddressVariable | ServiceSource::DefaultRemote | ServiceSource::Nothing => {
            "the default one"
        }
    };
    format!("the remote {}, {by}", remote.name)
}

fn transport(context: &Context, endpoint: &Endpoint) -> Result<(Box<dyn Transport>, Verdict), Verdict> {
    match transports::for_endpoint(endpoint) {
        Ok(transport) => {
            let verdict = Verdict::passed(format!("{} is built into this client", endpoint.scheme()));
            Ok((transport, verdict))
        }
        Err(error) => Err(Verdict::problem(
            error.message(),
            error.next_step().unwrap_or_default(),
            remedy::use_default_service(context),
        )),
    }
}

fn socket(context: &Context, endpoint: &Endpoint, path: &Path) -> Result<(SocketFile, Verdict), Verdict> {
    let shown = path.display();
    let found = platform::socket_file(path).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => denied(path),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => remedy::start_service(
            context,
            endpoint,
            format!("there is no socket {shown}: the service does not run, or listens elsewhere"),
        ),
        _ => Verdict::problem(format!("cannot look at {shown}: {error}"), "Fix this first.", None),
    })?;
    if !found.is_socket {
        return Err(Verdict::problem(
            format!("{shown} is there, and is not a socket"),
            "The service does not replace what is not its own. Move it away, then start the service:",
            Some(format!("mv {0} {0}.old", remedy::quoted_path(path))),
        ));
    }
    let SocketFile { mode, owner, group, .. } = &found;
    let verdict = Verdict::passed(format!("{shown}, mode {mode:04o}, of {owner}, group {group}"));
    Ok((found, verdict))
}

/// Whether the socket's mode, and the groups of this user, let this process connect.
fn access(context: &Context, path: &Path, socket: &SocketFile) -> Result<((), Verdict), Verdict> {
    let SocketFile { mode, owner, group, .. } = socket;
    if socket.may_connect {
        let why = match mode & 0o002 {
            0 if socket.is_own => "you own the socket".to_owned(),
            0 if platform::is_root() => "you are root".to_owned(),
            0 => format!("this session is in the group {group}"),
            _ => "everybody may connect".to_owned(),
        };
        return Ok(((), Verdict::passed(why)));
    }
    let cause = format!("you may not connect to {}: its mode is {mode:04o}", path.display());
    Err(match platform::explain_denial(path) {
        Denial::NewMember { group } => Verdict::problem(
            format!("{cause}, and this session is not in its group {group}, though your account is"),
            "Group membership takes effect at login: log out and in again, or start a shell that has it:",
            Some(format!("newgrp {}", remedy::shell_quoted(&group))),
        ),
        Denial::NotMember { group } => {
            let user = remedy::user_name();
            Verdict::problem(
                format!("{cause}, and you are not in its group {group}"),
                "No client is trusted yet, and the first has to be in that group. Have an administrator let you \
                 in, which opens the socket too:",
                Some(remedy::client_command_as_root(
                    context,
                    &format!("clients add --user {}", remedy::shell_quoted(&user)),
                )),
            )
        }
        Denial::OwnerOnly { .. } => Verdict::problem(
            format!("{cause}, so the service is for its owner {owner} alone"),
            "Use the system's service instead, at the default address; or run one of your own:",
            remedy::use_default_service(context).or_else(|| Some(own_service())),
        ),
        Denial::Unknown { .. } => denied(path),
    })
}

fn own_service() -> String {
    "multipassd > ~/.multipass-env & sleep 2; . ~/.multipass-env".to_owned()
}

/// A directory on the way lets this user not through.
fn denied(path: &Path) -> Verdict {
    match platform::blocked_directory(path) {
        Some(directory) => Verdict::problem(
            format!("the directory {} does not let you through to {}", directory.display(), path.display()),
            "Open it, or have the service listen elsewhere:",
            Some(remedy::as_root(&format!("chmod a+x {}", remedy::quoted_path(&directory)))),
        ),
        None => Verdict::problem(
            format!("the system does not let you connect to {}", path.display()),
            "Ask an administrator for access to it.",
            None,
        ),
    }
}

/// Whether anybody answers there, and does as a service does. That gets a greeting, and nothing more.
pub(super) async fn check_connection(
    context: &Context,
    route: &Route,
    report: &mut Report,
) -> Option<UnverifiedServer> {
    let endpoint = &route.endpoint;
    let listener = match endpoint {
        Endpoint::Unix(path) => {
            let looking = async { Ok(platform::listener(path).await.ok()) };
            dial::within_timeout(endpoint, looking).await.unwrap_or_default()
        }
        _ => None,
    };
    report.take(CONNECTION, probe(context, route, listener).await)
}

async fn probe(
    context: &Context,
    route: &Route,
    listener: Option<Listener>,
) -> Result<(UnverifiedServer, Verdict), Verdict> {
    let endpoint = &route.endpoint;
    let tls = ClientTls::for_unverified_root(CertificateDates::Ignored);
    let (tls, presented) =
        tls.map_err(|error| Verdict::of_error(&Error::Tls(error.into())))?.showing_what_is_presented();
    let probing = async {
        match route.transport.dial(endpoint, tls).await {
            Ok(_) | Err(ConnectError::ServerUnpinned(_) | ConnectError::ServerUntrusted(_)) => Ok(()),
            Err(error) => Err(dial::explain(error, endpoint)),
        }
    };
    let who = listener.as_ref().map(describe_listener);
    match dial::within_timeout(endpoint, probing).await {
        Ok(()) => {
            let who = who.map(|who| format!(": {who}")).unwrap_or_default();
            let verdict = Verdict::passed(format!("{endpoint} answers{who}"));
            Ok((UnverifiedServer { listener, presented }, verdict))
        }
        Err(Error::NoService { .. }) => {
            Err(remedy::start_service(context, endpoint, format!("nothing listens on {endpoint}")))
        }
        Err(error @ Error::ConnectTimeout { .. }) => Err(match &listener {
            // Looked at now, not before: a signal takes its time.
            Some(listener @ Listener { process: Some(process), .. }) if platform::is_stopped(*process) => {
                Verdict::problem(
                    format!("{}, and {}, which is stopped", error.message(), describe_listener(listener)),
                    "Let it go on:",
                    Some(remedy::kill_command(listener, "CONT", *process)),
                )
            }
            _ => Verdict::of_error(&error),
        }),
        Err(error) => {
            let who = who.map(|who| format!("; {who}")).unwrap_or_default();
            let unset = remedy::use_default_service(context);
            let advice = match unset {
                Some(_) => "Correct the address, or use the default one:",
                None => "Stop what listens there, and start the service.",
            };
            Err(Verdict::problem(format!("{}{who}", error.message()), advice, unset))
        }
    }
}

fn describe_listener(listener: &Listener) -> String {
    let Listener { process, program, user, .. } = listener;
    let program = program.as_deref().map_or_else(|| "a program".to_owned(), text::one_line);
    match process {
        Some(process) => format!("{program}, process {process} of {user}"),
        None => format!("{program} of {user}"),
    }
}
