//! What the machine's image is made of. The image is made again when anything of this changes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::tree::root;

/// Debian packages of the machine's root, beyond the required ones.
pub(super) const PACKAGES: [&str; 11] = [
    "systemd-sysv",
    "dbus",
    "dbus-user-session",
    "libpam-systemd",
    "udev",
    "kmod",
    "bluez",
    "bluez-test-tools",
    "polkitd",
    "busybox-static",
    "procps",
];

/// Kernel modules that the first program loads: without them there is no root.
pub(super) const BOOT_MODULES: [&str; 5] = ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "overlay"];

/// Kernel modules of the devices under test, and what the kernel's Bluetooth asks of its cryptography.
pub(super) const DEVICE_MODULES: [&str; 28] = [
    "bluetooth",
    "hci_vhci",
    "drbg",
    "jitterentropy_rng",
    "hmac",
    "sha256_generic",
    "sha512_generic",
    "ecdh_generic",
    "cmac",
    "aes_generic",
    "ecb",
    "ctr",
    "algif_hash",
    "algif_skcipher",
    "uhid",
    "uinput",
    "evdev",
    "hid_generic",
    "usbhid",
    "dummy_hcd",
    "libcomposite",
    "usb_f_acm",
    "cdc_acm",
    "xhci_pci",
    "usbserial",
    "ftdi_sio",
    "virtio_console",
    "autofs4",
];

/// Units that cost time and that no test needs.
pub(super) const MASKED: [&str; 16] = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "serial-getty@ttyS0.service",
    "systemd-timesyncd.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-random-seed.service",
    "systemd-update-utmp.service",
    "ldconfig.service",
    "modprobe@drm.service",
    "modprobe@fuse.service",
];

/// The files of the image that lie in the source tree.
pub(super) fn files() -> PathBuf {
    root().join("tests/vm/image")
}

/// All that the image depends on, as one text, which is kept beside the image and compared.
///
/// # Errors
/// When a file of the image cannot be read.
pub(super) fn text(suite: &str, kernel: &str) -> anyhow::Result<String> {
    let mut text =
        format!("{suite}\n{kernel}\n{}\n{}\n", include_str!("recipe.rs"), include_str!("image.rs"));
    append(&files(), &mut text)?;
    Ok(text)
}

fn append(folder: &Path, text: &mut String) -> anyhow::Result<()> {
    for path in crate::stage::sorted(folder)? {
        text.push_str(&format!("== {}\n", path.display()));
        if path.is_dir() {
            append(&path, text)?;
        } else {
            let body =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            text.push_str(&body);
        }
    }
    Ok(())
}
