//! Whether somebody else may do something to a file or directory, decided from its owner and its access list, and
//! what an administrator can do about it.
//!
//! It asks no system, and so it is the same everywhere, and tested everywhere.

use std::fmt;
use std::path::Path;

use thiserror::Error;

/// What others might do with a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Anything at all, also with what will be made in it.
    Use,
    /// Anything but reading: write to it, put something into it, or let others.
    Change,
    /// Put something else in its place or in the place of what is in it, or have it lead elsewhere, or let others.
    /// New directories in it do not count.
    Divert,
    /// As `Divert`, of a directory that can never be empty, and so cannot be made a link. New names in it do not count.
    Replace,
}

/// For whom it is judged whether something is beyond the reach of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    /// The user who runs this process, to whom it may belong.
    Caller,
    /// A service that the system runs. It trusts no user, and does not know who has installed it.
    Service,
}

/// Whom this machine knows, by their security identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known<'a> {
    /// The user who runs this process.
    pub caller: &'a str,
    /// Who owns the system's own directory, and so is the system, whatever it is called: wine has one owner for all
    /// files, and no administrators. Of use to a service alone.
    pub system: Option<&'a str>,
}

/// What a file or directory says of who may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The owner's security identifier, as in `S-1-5-18`.
    pub owner: String,
    /// The access list, in its order.
    pub entries: Vec<Entry>,
}

/// An entry of an access list, as Windows has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The `AceType`.
    pub kind: u8,
    /// The `AceFlags`.
    pub flags: u8,
    /// The access mask.
    pub rights: u32,
    /// The security identifier; empty for a kind that is not known to have one.
    pub to: String,
}

impl Entry {
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

/// Somebody else who may do it, by the security identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim<'a> {
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

/// The first who may do `deed` and is neither an administrator, nor the system, nor, where that one judges, the caller.
/// An entry that denies is not made up for.
///
/// # Errors
/// An entry is of a kind that is not known.
pub fn another<'a>(
    deed: Deed,
    listed: &'a Listed,
    judge: Judge,
    known: Known<'_>,
) -> Result<Option<Claim<'a>>, UnknownEntry> {
    let own = match judge {
        Judge::Caller => Some(known.caller),
        Judge::Service => known.system,
    };
    let is_another = |sid: &str| Some(sid) != own && !is_trusted(sid);
    if is_another(&listed.owner) {
        return Ok(Some(Claim::Owner(&listed.owner)));
    }
    for entry in &listed.entries {
        let is_for_below = entry.flags & Entry::BELOW_ONLY != 0;
        if entry.kind == Entry::DENIED || (is_for_below && deed != Deed::Use) {
            continue;
        }
        if !Entry::grants(entry.kind) {
            return Err(UnknownEntry(entry.kind));
        }
        if entry.rights & deed.rights() != 0 && is_another(&entry.to) {
            return Ok(Some(Claim::Granted(&entry.to)));
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

impl Deed {
    /// The rights any of which is enough for it.
    fn rights(self) -> u32 {
        const REPLACES: u32 =
            right::DELETE | right::DELETE_CHILD | right::WRITE_DAC | right::WRITE_OWNER | right::GENERIC_ALL;
        // Each of the first two is enough to make an empty directory, or a link, lead elsewhere (FSCTL_SET_REPARSE_POINT).
        const DIVERTS: u32 = REPLACES | right::WRITE_DATA | right::WRITE_ATTRIBUTES | right::GENERIC_WRITE;
        match self {
            Self::Use => u32::MAX,
            // Whatever is not known to be reading.
            Self::Change => !right::READ,
            Self::Divert => DIVERTS,
            Self::Replace => REPLACES,
        }
    }
}

/// Whether a security identifier is that of those who may do everything anyway, or of nobody in particular.
fn is_trusted(sid: &str) -> bool {
    const SYSTEM: &str = "S-1-5-18";
    const ADMINISTRATORS: &str = "S-1-5-32-544";
    const TRUSTED_INSTALLER: &str = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
    // Stands for whoever owns it, who is looked at anyway.
    const OWNER_RIGHTS: &str = "S-1-3-4";
    [SYSTEM, ADMINISTRATORS, TRUSTED_INSTALLER, OWNER_RIGHTS].contains(&sid)
}

/// What there is at a step of a way to something that others must not put in another place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
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

impl Step {
    /// What nobody else may be able to do there; none where there is nothing that would do.
    #[must_use]
    pub fn forbidden(self) -> Option<Deed> {
        match self {
            Self::File => Some(Deed::Change),
            Self::Directory | Self::Link => Some(Deed::Divert),
            Self::ProgramData => Some(Deed::Replace),
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
pub struct Another {
    /// The name of the user or group, or the identifier if there is none.
    pub name: String,
    /// The security identifier.
    pub sid: String,
    /// Whether it is the owner.
    pub is_owner: bool,
    /// Whether it is the user who runs this process.
    pub is_caller: bool,
}

impl Another {
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

impl fmt::Display for Another {
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

    const KNOWN: Known<'_> = Known { caller: ALICE, system: Some(TRUSTED_INSTALLER) };

    fn entry(kind: u8, flags: u8, to: &str, rights: u32) -> Entry {
        Entry { kind, flags, rights, to: to.to_owned() }
    }

    fn listed(owner: &str, grants: &[(u8, &str, u32)]) -> Listed {
        let entries = grants.iter().map(|(flags, to, rights)| entry(Entry::ALLOWED, *flags, to, *rights));
        Listed { owner: owner.to_owned(), entries: entries.collect() }
    }

    /// Who may do each deed, as the service judges: use, change, divert, replace.
    #[track_caller]
    fn assert_claims(what: &str, listed: &Listed, expected: [Option<Claim<'_>>; 4]) {
        let found = [Deed::Use, Deed::Change, Deed::Divert, Deed::Replace]
            .map(|deed| another(deed, listed, Judge::Service, KNOWN).unwrap());
        assert_eq!(found, expected, "{what}");
    }

    #[test]
    fn who_may_do_what_to_directories_as_windows_has_them() {
        let users = Some(Claim::Granted(USERS));
        let ours = [(OI | CI, SYSTEM, F), (OI | CI, ADMINISTRATORS, F)];
        let program_data =
            [&ours[..], &[(OI | CI | IO, CREATOR_OWNER, F), (OI | CI, USERS, RX), (CI, USERS, ADD)]].concat();
        let inherited: Vec<_> =
            program_data.iter().map(|(flags, to, rights)| (flags | I, *to, *rights)).collect();
        let readable = [&ours[..], &[(OI | CI, EVERYONE, RX)]].concat();
        let creator = Some(Claim::Granted(CREATOR_OWNER));
        for (what, owner, grants, expected) in [
            ("ours", ADMINISTRATORS, &ours[..], [None; 4]),
            ("%ProgramData%", SYSTEM, &program_data, [creator, users, users, None]),
            ("a stock service's below it", ADMINISTRATORS, &inherited, [creator, users, users, None]),
            ("readable", ADMINISTRATORS, &readable, [Some(Claim::Granted(EVERYONE)), None, None, None]),
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
                [Some(Claim::Granted(AUTHENTICATED)), Some(Claim::Granted(AUTHENTICATED)), None, None],
            ),
            (
                "another drive",
                ADMINISTRATORS,
                &[(0, AUTHENTICATED, M)],
                [Some(Claim::Granted(AUTHENTICATED)); 4],
            ),
        ] {
            assert_claims(what, &listed(owner, grants), expected);
        }
    }

    #[test]
    fn each_right_is_enough_for_what_it_allows() {
        let (may, may_not) = (Some(Claim::Granted(EVE)), None);
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
            assert_claims(what, &listed(SYSTEM, &[(0, SYSTEM, F), (0, EVE, rights)]), expected);
        }
    }

    #[test]
    fn an_owner_may_do_anything_and_only_some_owners_are_no_others() {
        for (owner, judge, is_another) in [
            (SYSTEM, Judge::Caller, false),
            (ADMINISTRATORS, Judge::Caller, false),
            (TRUSTED_INSTALLER, Judge::Caller, false),
            (ALICE, Judge::Caller, false),
            (EVE, Judge::Caller, true),
            (USERS, Judge::Caller, true),
            ("", Judge::Caller, true),
            (SYSTEM, Judge::Service, false),
            (ADMINISTRATORS, Judge::Service, false),
            (TRUSTED_INSTALLER, Judge::Service, false),
            (ALICE, Judge::Service, true),
            (EVE, Judge::Service, true),
        ] {
            for deed in [Deed::Use, Deed::Change, Deed::Divert, Deed::Replace] {
                let listed = listed(owner, &[(0, SYSTEM, F)]);
                let expected = is_another.then_some(Claim::Owner(owner));
                assert_eq!(
                    another(deed, &listed, judge, KNOWN),
                    Ok(expected),
                    "{deed:?}: {owner} for {judge:?}"
                );
            }
        }
        // Under wine it is the same for all.
        let wines = Known { caller: ALICE, system: Some(ALICE) };
        assert_eq!(another(Deed::Use, &listed(ALICE, &[]), Judge::Service, wines), Ok(None));
    }

    /// What an administrator has made without an administrator's rights, below `%ProgramData%`: it is as good as any
    /// to that administrator, and not to the service, until both remedies are through.
    #[test]
    fn what_the_installing_user_owns_or_may_change_is_not_the_services() {
        let made = [(I | OI | CI, SYSTEM, F), (I | OI | CI, ADMINISTRATORS, F), (I, ALICE, F)];
        let closed = &made[..2];
        for (what, listed, to_the_service) in [
            ("made by her", listed(ALICE, &made), Some(Claim::Owner(ALICE))),
            ("closed by her", listed(ALICE, closed), Some(Claim::Owner(ALICE))),
            ("taken over", listed(ADMINISTRATORS, &made), Some(Claim::Granted(ALICE))),
            ("taken from her", listed(ADMINISTRATORS, closed), None),
        ] {
            for deed in [Deed::Use, Deed::Change, Deed::Divert, Deed::Replace] {
                assert_eq!(another(deed, &listed, Judge::Caller, KNOWN), Ok(None), "{what}: {deed:?}");
                let judged = another(deed, &listed, Judge::Service, KNOWN);
                assert_eq!(judged, Ok(to_the_service), "{what}: {deed:?}");
            }
        }
    }

    #[test]
    fn entries_count_by_their_kind_and_reach() {
        let eve = Ok(Some(Claim::Granted(EVE)));
        for (what, entry, to_use, to_change) in [
            ("granted", entry(Entry::ALLOWED, 0, EVE, M), eve, eve),
            ("inherited", entry(Entry::ALLOWED, I | OI | CI, EVE, M), eve, eve),
            ("granted on a condition", entry(Entry::ALLOWED_ON_CONDITION, 0, EVE, M), eve, eve),
            // What would be made in it would be theirs; in it they may do nothing.
            ("for files in it", entry(Entry::ALLOWED, OI | IO, EVE, M), eve, Ok(None)),
            ("denied", entry(Entry::DENIED, 0, EVE, F), Ok(None), Ok(None)),
            ("for an object", entry(5, 0, "", F), Err(UnknownEntry(5)), Err(UnknownEntry(5))),
            ("unknown, for what is in it", entry(200, IO, "", F), Err(UnknownEntry(200)), Ok(None)),
        ] {
            let listed = Listed { owner: SYSTEM.to_owned(), entries: vec![entry] };
            assert_eq!(another(Deed::Use, &listed, Judge::Caller, KNOWN), to_use, "{what}");
            assert_eq!(another(Deed::Change, &listed, Judge::Caller, KNOWN), to_change, "{what}");
        }
        // A denial before it does not make up for what is granted; and one grant is as bad as many.
        let mut both = listed(SYSTEM, &[(0, ALICE, F), (0, EVE, M)]);
        both.entries.insert(0, entry(Entry::DENIED, 0, EVE, F));
        assert_eq!(another(Deed::Change, &both, Judge::Caller, KNOWN), eve);
        let eves = Known { caller: EVE, ..KNOWN };
        assert_eq!(another(Deed::Change, &both, Judge::Caller, eves), Ok(Some(Claim::Granted(ALICE))));
    }

    #[test]
    fn each_step_of_a_way_has_what_nobody_else_may_do_there() {
        let stock = listed(SYSTEM, &[(0, USERS, RX), (CI, USERS, ADD)]);
        let adds_directories = listed(SYSTEM, &[(0, USERS, RX | AD)]);
        let reads = listed(SYSTEM, &[(0, USERS, RX)]);
        for (step, of_stock, of_adding, of_reading) in [
            (Step::File, false, false, true),
            (Step::Directory, false, true, true),
            (Step::Link, false, true, true),
            (Step::ProgramData, true, true, true),
            (Step::LinkInProgramData, false, false, false),
        ] {
            let passes = |listed| {
                let judged = |deed| another(deed, listed, Judge::Caller, KNOWN).unwrap();
                step.forbidden().is_some_and(|deed| judged(deed).is_none())
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
            let another = Another { name: "Eve".to_owned(), sid: EVE.to_owned(), is_owner, is_caller };
            assert_eq!(another.refusal(Path::new("/some where")), format!("{fault}{LOOK}{remedy}"));
        }
    }
}
