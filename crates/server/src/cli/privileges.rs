//! Giving up root: ports are taken as root, everything else is done as somebody who may little

use super::Failure;
use mailwright_server::{Config, Sockets};

/// Takes the ports, and becomes the user of the configuration, if this is root; refuses to serve the network as root.
/// Comes back with the sockets. No other thread may run yet.
#[cfg(target_os = "linux")]
pub(super) fn give_up(config: &Config, mut sockets: Sockets) -> Result<Sockets, Failure> {
    use nix::unistd::{User, geteuid};

    let user = match &config.service.user {
        Some(name) => Some(User::from_name(name)?.ok_or_else(|| {
            format!("user = \"{name}\": there is no such user\n  Make it: useradd --system --home-dir / --shell /usr/sbin/nologin {name}")
        })?),
        None => None,
    };
    match user {
        None if geteuid().is_root() && !config.service.allow_root && reaches_the_network(config) => {
            return Err("a server for the network does not run as root\n  \
                        Say in the configuration who it shall be: user = \"mailwright\". It takes its ports before it becomes \
                        that user.\n  If it has to be root, say allow_root = true."
                .into());
        }
        Some(user) if geteuid().is_root() => {
            prepare_data(config, &user)?;
            take_ports(config, &mut sockets)?;
            become_user(config, &user)?;
        }
        Some(user) if geteuid() != user.uid => {
            return Err(format!(
                "user = \"{}\": only root can become another user\n  Start the server as root, or as that user.",
                user.name
            )
            .into());
        }
        None if geteuid().is_root() => {
            tracing::warn!(
                "running as root: `user` in the configuration says who to become once the ports are taken"
            );
            own_data(config)?;
        }
        _ => own_data(config)?,
    }
    // Whatever is run from here on gains nothing by being setuid.
    rustix::thread::set_no_new_privs(true)?;
    Ok(sockets)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn give_up(config: &Config, sockets: Sockets) -> Result<Sockets, Failure> {
    match config.service.user {
        Some(_) => Err("`user` is for Linux alone: start the server as that user".into()),
        None => Ok(sockets),
    }
}

#[cfg(target_os = "linux")]
fn reaches_the_network(config: &Config) -> bool {
    let mut addresses = config.listeners.iter().map(|listener| listener.address.ip());
    addresses.any(|ip| !ip.to_canonical().is_loopback())
}

/// Makes the data folder if it is not there, and sees that it is the user's.
#[cfg(target_os = "linux")]
fn prepare_data(config: &Config, user: &nix::unistd::User) -> Result<(), Failure> {
    use std::os::unix::fs::{MetadataExt, chown};

    let data = &config.data;
    if !data.exists() {
        super::kept::private_folder(data).map_err(|error| format!("{}: {error}", data.display()))?;
        chown(data, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
    }
    let owner = std::fs::metadata(data)?.uid();
    match owner == user.uid.as_raw() {
        true => Ok(()),
        false => Err(strange_owner(data, owner, &user.name)),
    }
}

/// Sees that the data folder, if it is there, is that of whoever runs this.
#[cfg(target_os = "linux")]
fn own_data(config: &Config) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt;

    let own = nix::unistd::geteuid();
    match std::fs::metadata(&config.data) {
        // Root may read everything, and leaves files behind that others cannot.
        Ok(there) if there.uid() != own.as_raw() && own.is_root() => {
            Err(strange_owner(&config.data, there.uid(), "root"))
        }
        Ok(there) if there.uid() != own.as_raw() => {
            let data = config.data.display();
            tracing::warn!(owner = there.uid(), user = %own, "the data folder {data} belongs to another user");
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn strange_owner(data: &std::path::Path, owner: u32, wanted: &str) -> Failure {
    format!(
        "the data folder {0} belongs to the user with the number {owner}, and the server runs as {wanted}\n  \
         Start it as its owner, or give it away: chown -R {wanted} {0}\n  \
         Or say in the configuration who it shall be: user = \"NAME\".",
        data.display()
    )
    .into()
}

/// Listens at every address of the configuration that no socket was handed over for.
#[cfg(target_os = "linux")]
fn take_ports(config: &Config, sockets: &mut Sockets) -> Result<(), Failure> {
    // It ends without having had another thread.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let _entered = runtime.enter();
    for listener in &config.listeners {
        if sockets.has(&listener.name, listener.address) {
            continue;
        }
        let bound = mailwright_server::listen_at(listener.address, listener.reuse_port);
        match bound {
            Ok(socket) => sockets.give(Some(listener.name.clone()), socket)?,
            // Whether that is a mistake, and what to do about it, is said where all listeners are opened.
            Err(error) => tracing::debug!(listener = listener.name, "not taken as root: {error}"),
        }
    }
    Ok(())
}

/// Becomes another user for good.
#[cfg(target_os = "linux")]
fn become_user(config: &Config, user: &nix::unistd::User) -> Result<(), Failure> {
    use nix::unistd::{Gid, Group, Uid, initgroups, setgid, setgroups, setuid};

    let gid = match &config.service.group {
        Some(name) => {
            Group::from_name(name)?
                .ok_or_else(|| format!("group = \"{name}\": there is no such group"))?
                .gid
        }
        None => user.gid,
    };
    match config.service.group {
        // No more than was asked for.
        Some(_) => setgroups(&[gid])?,
        None => initgroups(&std::ffi::CString::new(user.name.as_str())?, gid)?,
    }
    setgid(gid)?;
    setuid(user.uid)?;
    if user.uid.is_root()
        || setuid(Uid::from_raw(0)).is_ok()
        || setgid(Gid::from_raw(0)).is_ok() && gid.as_raw() != 0
    {
        return Err("root could not be given up".into());
    }
    tracing::info!(user = user.name, "root was given up");
    Ok(())
}
