//! Whether somebody else may do something to a file or directory, decided from its owner and its access list, and
//! what an administrator can do about it.
//!
//! It asks no system, and so it is the same everywhere, and tested everywhere.

use std::fmt;
use std::path::Path;

use thiserror::Error;

/// What others might do with a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Anything at all, also with what will be made in it.
    Use,
    /// Anything but reading: write to it, put something into it, or let others.
    Modify,
    /// Put something else in its place or in the place of what is in it, or have it lead elsewhere, or let others.
    /// New directories in it do not count.
    Redirect,
    /// As `Redirect`, of a directory that can never be empty, and so cannot be made a link. New names in it do not count.
    Replace,
}

/// Who is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustPolicy {
    /// Administrators, the system, and the user who runs this process, to whom it may belong.
    WithCaller,
    /// Administrators and the system, as a service sees it that the system runs: it does not know who has installed it.
    AdministratorsOnly,
}

/// Principals whose security identifiers differ from machine to machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalPrincipals<'a> {
    /// The user who runs this process.
    pub caller: &'a str,
    /// Who owns the system's own directory, and so is the system, whatever it is called: wine has one owner for all
    /// files, and no administrators. Needed where administrators alone are trusted.
    pub system: Option<&'a str>,
}

/// What a file or directory says of who may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityDescriptor {
    /// The owner's security identifier, as in `S-1-5-18`.
    pub owner: String,
    /// The access list, in its order.
    pub entries: Vec<AccessControlEntry>,
}

/// An entry of an access list, as Windows has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessControlEntry {
    /// The `AceType`.
    pub kind: u8,
    /// The `AceFlags`.
    pub flags: u8,
    /// The access mask.
    pub mask: u32,
    /// The security identifier; empty for a kind that is not known to have one.
    pub sid: String,
}

impl AccessControlEntry {
    /// `ACCESS_ALLOWED_ACE_TYPE`.
    pub const ALLOWED: u8 = 0;
    /// `ACCESS_DENIED_ACE_TYPE`.
    pub const DENIED: u8 = 1;
    /// `ACCESS_ALLOWED_CALLBACK_ACE_TYPE`.
    pub const ALLOWED_ON_CONDITION: u8 = 9;
    /// `INHERIT_ONLY_ACE`: it is for what is below alone.
    pub const BELOW_ONLY: u8 = 0x08;

    /// Whether its kind is followed by rights and an identifier, for which it grants something.
    #[must_use]
    pub fn grants(kind: u8) -> bool {
        [Self::ALLOWED, Self::ALLOWED_ON_CONDITION].contains(&kind)
    }
}

/// Whose access it is that is not trusted, by the security identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UntrustedAccess<'a> {
    /// The owner, who may grant themselves whatever they like.
    Owner(&'a str),
    /// One to whom it is granted.
    Granted(&'a str),
}

/// What grants more than is known here.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "its access list has an entry of the unknown kind {0}; 'icacls' shows it, and 'icacls /remove' takes it away"
)]
pub struct UnknownEntry(u8);

/// The first who may do `operation` and is not trusted. An entry that denies is not made up for.
///
/// # Errors
/// An entry is of a kind that is not known.
pub fn untrusted_access<'a>(
    operation: Operation,
    descriptor: &'a SecurityDescriptor,
    policy: TrustPolicy,
    local: LocalPrincipals<'_>,
) -> Result<Option<UntrustedAccess<'a>>, UnknownEntry> {
    let own = match policy {
        TrustPolicy::WithCaller => Some(local.caller),
        TrustPolicy::AdministratorsOnly => local.system,
    };
    let is_untrusted = |sid: &str| Some(sid) != own && !is_always_trusted(sid);
    if is_untrusted(&descriptor.owner) {
        return Ok(Some(UntrustedAccess::Owner(&descriptor.owner)));
    }
    for entry in &descriptor.entries {
        let is_for_below = entry.flags & AccessControlEntry::BELOW_ONLY != 0;
        if entry.kind == AccessControlEntry::DENIED || (is_for_below && operation != Operation::Use) {
            continue;
        }
        if !AccessControlEntry::grants(entry.kind) {
            return Err(UnknownEntry(entry.kind));
        }
        if entry.mask & operation.sufficient_rights() != 0 && is_untrusted(&entry.sid) {
            return Ok(Some(UntrustedAccess::Granted(&entry.sid)));
        }
    }
    Ok(None)
}

/// The rights of files and directories, by their names for files.
mod right {
    pub(super) const WRITE_DATA: u32 = 0x0002;
    pub(super) const DELETE_CHILD: u32 = 0x0040;
    pub(super) const WRITE_ATTRIBUTES: u32 = 0x0100;
    pub(super) const DELETE: u32 = 0x0001_0000;
    pub(super) const WRITE_DAC: u32 = 0x0004_0000;
    pub(super) const WRITE_OWNER: u32 = 0x0008_0000;
    pub(super) const GENERIC_ALL: u32 = 0x1000_0000;
    pub(super) const GENERIC_WRITE: u32 = 0x4000_0000;
    /// What is reading: `READ_DATA`, `READ_EA`, `EXECUTE`, `READ_ATTRIBUTES`, `READ_CONTROL`, `SYNCHRONIZE`, and by their generic names.
    pub(super) const READ: u32 = 0x0001 | 0x0008 | 0x0020 | 0x0080 | 0x0002_0000 | 0x0010_0000 | 0xa000_0000;
}

impl Operation {
    /// The rights any of which is enough for it.
    fn sufficient_rights(self) -> u32 {
        const REPLACES: u32 =
            right::DELETE | right::DELETE_CHILD | right::WRITE_DAC | right::WRITE_OWNER | right::GENERIC_ALL;
        // Each of the first two is enough to make an empty directory, or a link, lead elsewhere (FSCTL_SET_REPARSE_POINT).
        const REDIRECTS: u32 = REPLACES | right::WRITE_DATA | right::WRITE_ATTRIBUTES | right::GENERIC_WRITE;
        match self {
            Self::Use => u32::MAX,
            // Whatever is not known to be reading.
            Self::Modify => !right::READ,
            Self::Redirect => REDIRECTS,
            Self::Replace => REPLACES,
        }
    }
}

/// Whether a security identifier is that of those who may do everything anyway, or of nobody in particular.
fn is_always_trusted(sid: &str) -> bool {
    const SYSTEM: &str = "S-1-5-18";
    const ADMINISTRATORS: &str = "S-1-5-32-544";
    const TRUSTED_INSTALLER: &str = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
    // Stands for whoever owns it, who is looked at anyway.
    const OWNER_RIGHTS: &str = "S-1-3-4";
    [SYSTEM, ADMINISTRATORS, TRUSTED_INSTALLER, OWNER_RIGHTS].contains(&sid)
}

/// What there is at a step of a way to something that others must not put in another place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathComponent {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// The directory in which all programs have their data, and all users may make what they like. It is never empty.
    ProgramData,
    /// A symbolic link or a junction.
    Link,
    /// A link below the directory in which all users may make what they like. Nobody needs one there, and one that is
    /// made by turning an empty directory into it looks like its former owner's.
    LinkInProgramData,
}

impl PathComponent {
    /// What nobody else may be able to do there; none where there is nothing that would do.
    #[must_use]
    pub fn forbidden(self) -> Option<Operation> {
        match self {
            Self::File => Some(Operation::Modify),
            Self::Directory | Self::Link => Some(Operation::Redirect),
            Self::ProgramData => Some(Operation::Replace),
            Self::LinkInProgramData => None,
        }
    }
}

/// Who could do it with what belongs to the user who installs.
const OWN_PROGRAMS: &str = "and any of your programs, also without an administrator's rights,";
/// Why the administrator who installs is nobody special.
const SERVICE_TRUSTS: &str = ", while the service, which runs as the system, takes only what nobody but administrators and the system can change";

/// Somebody else who may do what nobody else should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UntrustedPrincipal {
    /// The name of the user or group, or the identifier if there is none.
    pub name: String,
    /// The security identifier.
    pub sid: String,
    /// Whether it is the owner.
    pub is_owner: bool,
    /// Whether it is the user who runs this process.
    pub is_caller: bool,
}

impl UntrustedPrincipal {
    /// Why what is at `path` is not used, and what an administrator can do about it.
    #[must_use]
    pub fn refusal(&self, path: &Path) -> String {
        let (shown, remedy) = (path.display(), self.remedy(path));
        let (whose, who) = match (self.is_owner, self.is_caller) {
            (true, false) => (format!("{shown} belongs to '{self}'"), "who"),
            (false, false) => (format!("'{self}' may change {shown}"), "and"),
            (true, true) => (format!("{shown} belongs to you, '{self}'"), OWN_PROGRAMS),
            (false, true) => (format!("you, '{self}', may change {shown}"), OWN_PROGRAMS),
        };
        let service = if self.is_caller { SERVICE_TRUSTS } else { "" };
        format!(
            "{whose}, {who} could have put anything there{service}: move it away, or use another place; or, if you have \
             looked whose files are there ('dir /q /s \"{shown}\"') and trust them all, end that as administrator with \
             {remedy}"
        )
    }

    /// What an administrator does who trusts what is at `path`, so that this one may no longer change it. It fixes
    /// nothing that was done before.
    fn remedy(&self, path: &Path) -> String {
        let (path, sid) = (path.display(), &self.sid);
        match self.is_owner {
            true => format!("'takeown /f \"{path}\" /a'"),
            // First what comes from above becomes its own: only that can be taken away.
            false => format!("'icacls \"{path}\" /inheritance:d', then 'icacls \"{path}\" /remove:g *{sid}'"),
        }
    }
}

impl fmt::Display for UntrustedPrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    const SYSTEM: &str = "S-1-5-18";
    const ADMINISTRATORS: &str = "S-1-5-32-544";
    const USERS: &str = "S-1-5-32-545";
    const AUTHENTICATED: &str = "S-1-5-11";
    const EVERYONE: &str = "S-1-1-0";
    const CREATOR_OWNER: &str = "S-1-3-0";
    const TRUSTED_INSTALLER: &str = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
    const ALICE: &str = "S-1-5-21-1-2-3-1001";
    const EVE: &str = "S-1-5-21-1-2-3-1002";

    /// As `icacls` writes them: full, modify, read and execute, and the four that `%ProgramData%` grants.
    const F: u32 = 0x001f_01ff;
    const M: u32 = 0x0013_01bf;
    const RX: u32 = 0x0012_00a9;
    const WD: u32 = 0x0002;
    const AD: u32 = 0x0004;
    const WEA: u32 = 0x0010;
    const WA: u32 = 0x0100;
    const ADD: u32 = WD | AD | WEA | WA;
    /// Object and container inherit, inherit only, inherited.
    const OI: u8 = 0x01;
    const CI: u8 = 0x02;
    const IO: u8 = 0x08;
    const I: u8 = 0x10;

    const LOCAL: LocalPrincipals<'_> = LocalPrincipals { caller: ALICE, system: Some(TRUSTED_INSTALLER) };

    fn entry(kind: u8, flags: u8, sid: &str, mask: u32) -> AccessControlEntry {
        AccessControlEntry { kind, flags, mask, sid: sid.to_owned() }
    }

    fn descriptor(owner: &str, grants: &[(u8, &str, u32)]) -> SecurityDescriptor {
        let entries =
            grants.iter().map(|(flags, to, rights)| entry(AccessControlEntry::ALLOWED, *flags, to, *rights));
        SecurityDescriptor { owner: owner.to_owned(), entries: entries.collect() }
    }

    /// Who may do each operation, as the service judges: use, modify, redirect, replace.
    #[track_caller]
    fn assert_claims(
        what: &str,
        descriptor: &SecurityDescriptor,
        expected: [Option<UntrustedAccess<'_>>; 4],
    ) {
        let found =
            [Operation::Use, Operation::Modify, Operation::Redirect, Operation::Replace].map(|operation| {
                untrusted_access(operation, descriptor, TrustPolicy::AdministratorsOnly, LOCAL).unwrap()
            });
        assert_eq!(found, expected, "{what}");
    }

    #[test]
    fn who_may_do_what_to_directories_as_windows_has_them() {
        let users = Some(UntrustedAccess::Granted(USERS));
        let ours = [(OI | CI, SYSTEM, F), (OI | CI, ADMINISTRATORS, F)];
        let program_data =
            [&ours[..], &[(OI | CI | IO, CREATOR_OWNER, F), (OI | CI, USERS, RX), (CI, USERS, ADD)]].concat();
        let inherited: Vec<_> =
            program_data.iter().map(|(flags, to, rights)| (flags | I, *to, *rights)).collect();
        let readable = [&ours[..], &[(OI | CI, EVERYONE, RX)]].concat();
        let creator = Some(UntrustedAccess::Granted(CREATOR_OWNER));
        for (what, owner, grants, expected) in [
            ("ours", ADMINISTRATORS, &ours[..], [None; 4]),
            ("%ProgramData%", SYSTEM, &program_data, [creator, users, users, None]),
            ("a stock service's below it", ADMINISTRATORS, &inherited, [creator, users, users, None]),
            (
                "readable",
                ADMINISTRATORS,
                &readable,
                [Some(UntrustedAccess::Granted(EVERYONE)), None, None, None],
            ),
            (
                "Program Files",
                TRUSTED_INSTALLER,
                &[
                    (0, TRUSTED_INSTALLER, F),
                    (CI | IO, TRUSTED_INSTALLER, 0x1000_0000),
                    (0, SYSTEM, M),
                    (0, ADMINISTRATORS, M),
                    (0, USERS, RX),
                    (OI | CI | IO, USERS, 0xa000_0000),
                    (OI | CI | IO, CREATOR_OWNER, 0x1000_0000),
                ],
                [users, None, None, None],
            ),
            // Users may make directories there, and none can be put in another's place.
            (
                "the system's drive",
                TRUSTED_INSTALLER,
                &[
                    (0, AUTHENTICATED, AD),
                    (OI | CI | IO, AUTHENTICATED, 0xe001_0000),
                    (0, SYSTEM, F),
                    (0, USERS, RX),
                ],
                [
                    Some(UntrustedAccess::Granted(AUTHENTICATED)),
                    Some(UntrustedAccess::Granted(AUTHENTICATED)),
                    None,
                    None,
                ],
            ),
            (
                "another drive",
                ADMINISTRATORS,
                &[(0, AUTHENTICATED, M)],
                [Some(UntrustedAccess::Granted(AUTHENTICATED)); 4],
            ),
        ] {
            assert_claims(what, &descriptor(owner, grants), expected);
        }
    }

    #[test]
    fn each_right_is_enough_for_what_it_allows() {
        let (may, may_not) = (Some(UntrustedAccess::Granted(EVE)), None);
        for (what, rights, expected) in [
            ("READ_DATA", 0x0001, [may, may_not, may_not, may_not]),
            ("WRITE_DATA", 0x0002, [may, may, may, may_not]),
            ("APPEND_DATA", 0x0004, [may, may, may_not, may_not]),
            ("READ_EA", 0x0008, [may, may_not, may_not, may_not]),
            ("WRITE_EA", 0x0010, [may, may, may_not, may_not]),
            ("EXECUTE", 0x0020, [may, may_not, may_not, may_not]),
            ("DELETE_CHILD", 0x0040, [may, may, may, may]),
            ("READ_ATTRIBUTES", 0x0080, [may, may_not, may_not, may_not]),
            ("WRITE_ATTRIBUTES", 0x0100, [may, may, may, may_not]),
            ("DELETE", 0x0001_0000, [may, may, may, may]),
            ("READ_CONTROL", 0x0002_0000, [may, may_not, may_not, may_not]),
            ("WRITE_DAC", 0x0004_0000, [may, may, may, may]),
            ("WRITE_OWNER", 0x0008_0000, [may, may, may, may]),
            ("SYNCHRONIZE", 0x0010_0000, [may, may_not, may_not, may_not]),
            ("ACCESS_SYSTEM_SECURITY", 0x0100_0000, [may, may, may_not, may_not]),
            ("GENERIC_ALL", 0x1000_0000, [may, may, may, may]),
            ("GENERIC_EXECUTE", 0x2000_0000, [may, may_not, may_not, may_not]),
            ("GENERIC_WRITE", 0x4000_0000, [may, may, may, may_not]),
            ("GENERIC_READ", 0x8000_0000, [may, may_not, may_not, may_not]),
            ("nothing", 0, [may_not; 4]),
        ] {
            assert_claims(what, &descriptor(SYSTEM, &[(0, SYSTEM, F), (0, EVE, rights)]), expected);
        }
    }

    #[test]
    fn an_owner_may_do_anything_and_only_some_owners_are_no_others() {
        for (owner, policy, is_untrusted) in [
            (SYSTEM, TrustPolicy::WithCaller, false),
            (ADMINISTRATORS, TrustPolicy::WithCaller, false),
            (TRUSTED_INSTALLER, TrustPolicy::WithCaller, false),
            (ALICE, TrustPolicy::WithCaller, false),
            (EVE, TrustPolicy::WithCaller, true),
            (USERS, TrustPolicy::WithCaller, true),
            ("", TrustPolicy::WithCaller, true),
            (SYSTEM, TrustPolicy::AdministratorsOnly, false),
            (ADMINISTRATORS, TrustPolicy::AdministratorsOnly, false),
            (TRUSTED_INSTALLER, TrustPolicy::AdministratorsOnly, false),
            (ALICE, TrustPolicy::AdministratorsOnly, true),
            (EVE, TrustPolicy::AdministratorsOnly, true),
            (USERS, TrustPolicy::AdministratorsOnly, true),
            ("", TrustPolicy::AdministratorsOnly, true),
        ] {
            for operation in [Operation::Use, Operation::Modify, Operation::Redirect, Operation::Replace] {
                let descriptor = descriptor(owner, &[(0, SYSTEM, F)]);
                let expected = is_untrusted.then_some(UntrustedAccess::Owner(owner));
                assert_eq!(
                    untrusted_access(operation, &descriptor, policy, LOCAL),
                    Ok(expected),
                    "{operation:?}: {owner} for {policy:?}"
                );
            }
        }
        // Under wine it is the same for all.
        let wines = LocalPrincipals { caller: ALICE, system: Some(ALICE) };
        assert_eq!(
            untrusted_access(Operation::Use, &descriptor(ALICE, &[]), TrustPolicy::AdministratorsOnly, wines),
            Ok(None)
        );
    }

    /// What an administrator has made without an administrator's rights, below `%ProgramData%`: it is as good as any
    /// to that administrator, and not to the service, until both remedies are through.
    #[test]
    fn what_the_installing_user_owns_or_may_change_is_not_the_services() {
        let made = [(I | OI | CI, SYSTEM, F), (I | OI | CI, ADMINISTRATORS, F), (I, ALICE, F)];
        let closed = &made[..2];
        for (what, descriptor, to_the_service) in [
            ("made by her", descriptor(ALICE, &made), Some(UntrustedAccess::Owner(ALICE))),
            ("closed by her", descriptor(ALICE, closed), Some(UntrustedAccess::Owner(ALICE))),
            ("taken over", descriptor(ADMINISTRATORS, &made), Some(UntrustedAccess::Granted(ALICE))),
            ("taken from her", descriptor(ADMINISTRATORS, closed), None),
        ] {
            for operation in [Operation::Use, Operation::Modify, Operation::Redirect, Operation::Replace] {
                assert_eq!(
                    untrusted_access(operation, &descriptor, TrustPolicy::WithCaller, LOCAL),
                    Ok(None),
                    "{what}: {operation:?}"
                );
                let judged = untrusted_access(operation, &descriptor, TrustPolicy::AdministratorsOnly, LOCAL);
                assert_eq!(judged, Ok(to_the_service), "{what}: {operation:?}");
            }
        }
    }

    #[test]
    fn entries_count_by_their_kind_and_reach() {
        let eve = Ok(Some(UntrustedAccess::Granted(EVE)));
        for (what, entry, to_use, to_change) in [
            ("granted", entry(AccessControlEntry::ALLOWED, 0, EVE, M), eve, eve),
            ("inherited", entry(AccessControlEntry::ALLOWED, I | OI | CI, EVE, M), eve, eve),
            ("granted on a condition", entry(AccessControlEntry::ALLOWED_ON_CONDITION, 0, EVE, M), eve, eve),
            // What would be made in it would be theirs; in it they may do nothing.
            ("for files in it", entry(AccessControlEntry::ALLOWED, OI | IO, EVE, M), eve, Ok(None)),
            ("denied", entry(AccessControlEntry::DENIED, 0, EVE, F), Ok(None), Ok(None)),
            ("for an object", entry(5, 0, "", F), Err(UnknownEntry(5)), Err(UnknownEntry(5))),
            ("unknown, for what is in it", entry(200, IO, "", F), Err(UnknownEntry(200)), Ok(None)),
        ] {
            let descriptor = SecurityDescriptor { owner: SYSTEM.to_owned(), entries: vec![entry] };
            assert_eq!(
                untrusted_access(Operation::Use, &descriptor, TrustPolicy::WithCaller, LOCAL),
                to_use,
                "{what}"
            );
            assert_eq!(
                untrusted_access(Operation::Modify, &descriptor, TrustPolicy::WithCaller, LOCAL),
                to_change,
                "{what}"
            );
        }
        // A denial before it does not make up for what is granted; and one grant is as bad as many.
        let mut both = descriptor(SYSTEM, &[(0, ALICE, F), (0, EVE, M)]);
        both.entries.insert(0, entry(AccessControlEntry::DENIED, 0, EVE, F));
        assert_eq!(untrusted_access(Operation::Modify, &both, TrustPolicy::WithCaller, LOCAL), eve);
        let eves = LocalPrincipals { caller: EVE, ..LOCAL };
        assert_eq!(
            untrusted_access(Operation::Modify, &both, TrustPolicy::WithCaller, eves),
            Ok(Some(UntrustedAccess::Granted(ALICE)))
        );
    }

    #[test]
    fn each_step_of_a_way_has_what_nobody_else_may_do_there() {
        let stock = descriptor(SYSTEM, &[(0, USERS, RX), (CI, USERS, ADD)]);
        let adds_directories = descriptor(SYSTEM, &[(0, USERS, RX | AD)]);
        let reads = descriptor(SYSTEM, &[(0, USERS, RX)]);
        for (step, of_stock, of_adding, of_reading) in [
            (PathComponent::File, false, false, true),
            (PathComponent::Directory, false, true, true),
            (PathComponent::Link, false, true, true),
            (PathComponent::ProgramData, true, true, true),
            (PathComponent::LinkInProgramData, false, false, false),
        ] {
            let passes = |descriptor| {
                let judged = |operation| {
                    untrusted_access(operation, descriptor, TrustPolicy::WithCaller, LOCAL).unwrap()
                };
                step.forbidden().is_some_and(|operation| judged(operation).is_none())
            };
            assert_eq!(
                (passes(&stock), passes(&adds_directories), passes(&reads)),
                (of_stock, of_adding, of_reading),
                "{step:?}"
            );
        }
    }

    #[test]
    fn a_refusal_says_whose_it_is_why_that_matters_and_how_to_end_it() {
        const LOOK: &str = "move it away, or use another place; or, if you have looked whose files are there \
            ('dir /q /s \"/some where\"') and trust them all, end that as administrator with ";
        const YOURS: &str = "and any of your programs, also without an administrator's rights, could have put anything \
            there, while the service, which runs as the system, takes only what nobody but administrators and the \
            system can change: ";
        let take = "'takeown /f \"/some where\" /a'";
        let remove = format!(
            "'icacls \"/some where\" /inheritance:d', then 'icacls \"/some where\" /remove:g *{EVE}'"
        );
        for (is_owner, is_caller, fault, remedy) in [
            (
                true,
                false,
                "/some where belongs to 'Eve', who could have put anything there: ".to_owned(),
                take,
            ),
            (
                false,
                false,
                "'Eve' may change /some where, and could have put anything there: ".to_owned(),
                &*remove,
            ),
            (true, true, format!("/some where belongs to you, 'Eve', {YOURS}"), take),
            (false, true, format!("you, 'Eve', may change /some where, {YOURS}"), &*remove),
        ] {
            let another =
                UntrustedPrincipal { name: "Eve".to_owned(), sid: EVE.to_owned(), is_owner, is_caller };
            assert_eq!(another.refusal(Path::new("/some where")), format!("{fault}{LOOK}{remedy}"));
        }
    }
}
