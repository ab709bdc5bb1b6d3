//! Acts as the owner of a source file, so that root builds no table on behalf of a user that the
//! user could not have built.

use nix::unistd::{Gid, Uid, getegid, geteuid, getgroups, getuid, setegid, seteuid, setgroups};

use crate::error::{Error, Result};

/// While it lives, the process has the effective user and group of a file's owner and no other
/// groups. Dropping it brings back what was before.
///
/// This is process-wide: all threads, and every file opened anywhere in the process meanwhile. It
/// is meant for the command, which has one thread and one thing to do, not for servers.
///
/// Rule: docs/original-behaviour.md, owner of new tables. A file of root's own changes the group
/// only.
#[derive(Debug)]
#[must_use = "dropping it at once brings the old identity back"]
pub struct ActAs {
    before: Option<Identity>,
}

#[derive(Debug)]
struct Identity {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl ActAs {
    /// Becomes user `uid` and group `gid`. Changes nothing unless the process's *real* user is
    /// root.
    ///
    /// Error: [`ErrorKind::Identity`](crate::ErrorKind::Identity); what was changed by then is
    /// brought back.
    pub fn owner(uid: u32, gid: u32) -> Result<ActAs> {
        if !getuid().is_root() {
            return Ok(ActAs { before: None });
        }
        let groups = getgroups().map_err(|error| failed("getgroups", 0, error))?;
        let acting = ActAs {
            before: Some(Identity {
                uid: geteuid(),
                gid: getegid(),
                groups,
            }),
        };
        become_root()?;
        let groups = [Gid::from_raw(gid)];
        // The user comes last: it is the right to change the others. On an error the drop of
        // `acting` undoes.
        Identity::take(Uid::from_raw(uid), Gid::from_raw(gid), &groups)?;
        Ok(acting)
    }

    /// Brings back what was before, as a drop does, and says whether that worked.
    pub fn restore(mut self) -> Result<()> {
        self.undo()
    }

    fn undo(&mut self) -> Result<()> {
        match self.before.take() {
            Some(before) => {
                become_root()?;
                Identity::take(before.uid, before.gid, &before.groups)
            }
            None => Ok(()),
        }
    }
}

impl Drop for ActAs {
    fn drop(&mut self) {
        // The real user stays root, so this cannot fail in practice. If it did, the process would
        // go on with the owner's rights: too few, never too many.
        let _ = self.undo();
    }
}

impl Identity {
    /// To be called as effective root.
    fn take(uid: Uid, gid: Gid, groups: &[Gid]) -> Result<()> {
        setgroups(groups).map_err(|error| failed("setgroups", gid.as_raw(), error))?;
        setegid(gid).map_err(|error| failed("setegid", gid.as_raw(), error))?;
        seteuid(uid).map_err(|error| failed("seteuid", uid.as_raw(), error))
    }
}

fn become_root() -> Result<()> {
    seteuid(Uid::from_raw(0)).map_err(|error| failed("seteuid", 0, error))
}

fn failed(call: &'static str, id: u32, error: nix::Error) -> Error {
    Error::identity(call, id, error.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::testing::{TestDir, again, looks, stage};
    use std::fs;

    fn identity() -> (u32, u32, Vec<Gid>) {
        let groups = getgroups().unwrap();
        (geteuid().as_raw(), getegid().as_raw(), groups)
    }

    #[test]
    fn root_becomes_the_owner_and_comes_back() {
        if let Some(dir) = stage() {
            setgroups(&[Gid::from_raw(7), Gid::from_raw(8)]).unwrap();
            let before = identity();
            for (name, uid, gid) in [("user", 1234, 5678), ("root", 0, 5678)] {
                let acting = ActAs::owner(uid, gid).unwrap();
                assert_eq!(identity(), (uid, gid, vec![Gid::from_raw(gid)]));
                fs::write(dir.join(name), "").unwrap();
                let inner = ActAs::owner(99, 98).unwrap();
                assert_eq!(identity(), (99, 98, vec![Gid::from_raw(98)]));
                inner.restore().unwrap();
                assert_eq!(identity(), (uid, gid, vec![Gid::from_raw(gid)]));
                drop(acting);
                assert_eq!(identity(), before);
            }
            nix::unistd::setuid(1234.into()).unwrap();
            let before = identity();
            let _nothing = ActAs::owner(99, 98).unwrap();
            assert_eq!(identity(), before, "real user is not root");
            return;
        }
        if !getuid().is_root() {
            return;
        }
        let dir = TestDir::new();
        std::os::unix::fs::chown(dir.root(), Some(1234), None).unwrap();
        let name = "file::privilege::tests::root_becomes_the_owner_and_comes_back";
        let output = again(name, dir.root(), "umask 022").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(looks(&dir.path("user")), (1234, 5678, 0o644));
        assert_eq!(looks(&dir.path("root")), (0, 5678, 0o644));
    }

    #[test]
    fn the_error_names_the_call_and_the_number() {
        let error = failed("seteuid", 1000, nix::Error::EPERM);
        assert_eq!(error.to_string(), "set_eugid: seteuid(1000)");
        assert_eq!(error.io_error().unwrap().raw_os_error(), Some(1));
        assert!(error.is_temporary());
    }
}
