//! `unix:passwd.byname` and `unix:group.byname`: the users and groups of the system.

use std::borrow::Cow;
use std::ffi::{CStr, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;

use nix::unistd::{Group, User};

use super::checked;
use crate::error::{Error, ErrorKind, Result, masked};
use crate::key::Fold;
use crate::table::options::OpenOptions;
use crate::table::traits::Table;

/// The users or the groups of the system, each as its line of passwd(5) or group(5).
#[derive(Debug)]
pub struct AccountsTable {
    title: String,
    of: Accounts,
    fold: Fold,
    utf8: bool,
}

#[derive(Clone, Copy, Debug)]
enum Accounts {
    Users,
    Groups,
}

impl AccountsTable {
    /// The table `unix:name`.
    ///
    /// # Errors
    ///
    /// `Spec` for any other name than `passwd.byname` and `group.byname`.
    pub fn new(name: &OsStr, options: &OpenOptions) -> Result<AccountsTable> {
        let title = format!("unix:{}", masked(name));
        let of = match name.as_bytes() {
            b"passwd.byname" => Accounts::Users,
            b"group.byname" => Accounts::Groups,
            _ => {
                let what = format!("unknown table: {title}");
                return Err(Error::new(ErrorKind::Spec { what }));
            }
        };
        Ok(AccountsTable {
            title,
            of,
            fold: options.fold,
            utf8: options.utf8,
        })
    }

    fn line(&self, name: &str) -> nix::Result<Option<Vec<u8>>> {
        let text = |text: &CStr| text.to_bytes().to_vec();
        let fields = match self.of {
            Accounts::Users => User::from_name(name)?.map(|user| {
                vec![
                    user.name.into_bytes(),
                    text(&user.passwd),
                    user.uid.to_string().into_bytes(),
                    user.gid.to_string().into_bytes(),
                    text(&user.gecos),
                    user.dir.as_os_str().as_bytes().to_vec(),
                    user.shell.as_os_str().as_bytes().to_vec(),
                ]
            }),
            Accounts::Groups => Group::from_name(name)?.map(|group| {
                vec![
                    group.name.into_bytes(),
                    text(&group.passwd),
                    group.gid.to_string().into_bytes(),
                    group.mem.join(",").into_bytes(),
                ]
            }),
        };
        Ok(fields.map(|fields| fields.join(&b':')))
    }
}

impl Table for AccountsTable {
    fn lookup(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let name = self.fold.fold(key);
        let Ok(name) = std::str::from_utf8(&name) else {
            return Ok(None);
        };
        // An account is never called so, and the C library would see the part before it.
        if name.contains('\0') {
            return Ok(None);
        }
        let line = self.line(name).map_err(|errno| {
            let reason = io::Error::from(errno);
            let reason = crate::error::system_text(&reason);
            Error::new(ErrorKind::Lookup { reason })
        })?;
        match line {
            Some(line) => checked(Cow::Owned(line), self.utf8),
            None => Ok(None),
        }
    }

    fn title(&self) -> String {
        self.title.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_the_first_user_and_group() {
        let options = OpenOptions::default();
        for (name, key, start) in [
            ("passwd.byname", "root", "root:x:0:0:"),
            ("passwd.byname", "ROOT", "root:x:0:0:"),
            ("group.byname", "root", "root:x:0:"),
        ] {
            let table = AccountsTable::new(OsStr::new(name), &options).unwrap();
            let line = table.lookup(key.as_bytes()).unwrap().unwrap();
            assert!(
                line.starts_with(start.as_bytes()),
                "{}",
                line.escape_ascii()
            );
            assert!(table.lookup(b"no such account").unwrap().is_none());
            assert!(table.lookup(b"root\0").unwrap().is_none());
        }
        assert!(AccountsTable::new(OsStr::new("passwd.byuid"), &options).is_err());
    }
}
