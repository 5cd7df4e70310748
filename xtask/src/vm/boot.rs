//! Runs the machine: starts qemu, passes on what the checks print, and says how they ended.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use super::image::Image;

/// How long one run may take, from power-on to power-off.
const LIMIT: Duration = Duration::from_secs(600);
/// Memory of the machine. What a run changes is kept in it too: the installed package, mostly.
const MEMORY: &str = "1536";
/// What the kernel is told: no waiting, no mitigations, and a reboot is an end.
const KERNEL_ARGUMENTS: &str = "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check nokaslr audit=0 apparmor=0 \
                                selinux=0 net.ifnames=0 systemd.show_status=false";

/// Boots with absolute paths, and gives back whether every check passed.
///
/// # Errors
/// When qemu cannot be started, the time is over, or the machine ends without saying how the checks went.
pub(super) fn run(folder: &Path, image: &Image, payload: &Path, console: &Path) -> anyhow::Result<()> {
    let mut machine = Machine(qemu(folder, image, payload, console).spawn().context("cannot start qemu")?);
    let lines = lines_of(&mut machine)?;
    let end = Instant::now() + LIMIT;
    let mut verdict = None;
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                eprintln!("{line}");
                if let Some(counts) = line.strip_prefix("vm: ") {
                    verdict = Some(counts.ends_with(" 0 failed"));
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                bail!(
                    "the machine did not end within {} s; its console is in {}",
                    LIMIT.as_secs(),
                    console.display()
                )
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    match verdict {
        Some(true) => Ok(()),
        Some(false) => bail!("not every check passed"),
        None => bail!("the machine ended before its checks did; its console is in {}", console.display()),
    }
}

fn qemu(folder: &Path, image: &Image, payload: &Path, console: &Path) -> Command {
    let disk =
        |file: &Path, name: &str| format!("file={},format=raw,if=none,id={name},readonly=on", file.display());
    let mut command = Command::new("qemu-system-x86_64");
    command
        // Its sockets are here, since the path of a socket must be short.
        .current_dir(folder)
        // Emulated on purpose: where there is a /dev/kvm, it may be one that no stock kernel boots on.
        .args([
            "-accel",
            "tcg,thread=multi,tb-size=512",
            "-cpu",
            "max",
            "-machine",
            "q35,smm=off,vmport=off,hpet=off",
        ])
        .args(["-smp", "2", "-m", MEMORY, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
        .arg("-kernel")
        .arg(&image.kernel)
        .arg("-initrd")
        .arg(&image.initrd)
        .args(["-append", KERNEL_ARGUMENTS])
        .args(["-drive", &disk(&image.disk, "root"), "-device", "virtio-blk-pci,drive=root"])
        .args(["-drive", &disk(payload, "payload"), "-device", "virtio-blk-pci,drive=payload"])
        .args(["-serial", &format!("file:{}", console.display()), "-serial", "stdio"])
        // What the machine plugs in by itself: it has qemu's monitor as a port, and the other end of a USB serial adapter.
        .args(["-device", "qemu-xhci", "-device", "virtio-serial-pci"])
        .args(port("monitor"))
        .args(["-mon", "chardev=monitor,mode=control"])
        .args(port("machine"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// A character device of that name, and a port of the machine that is its other end.
fn port(name: &str) -> [String; 6] {
    let socket = format!("path={name}.sock");
    [
        "-chardev".to_owned(),
        format!("socket,id={name},{socket},server=on,wait=off"),
        "-chardev".to_owned(),
        format!("socket,id={name}-end,{socket}"),
        "-device".to_owned(),
        format!("virtserialport,chardev={name}-end,name={name}"),
    ]
}

fn lines_of(machine: &mut Machine) -> anyhow::Result<mpsc::Receiver<String>> {
    let output = machine.0.stdout.take().context("qemu without an output")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// The running machine; ended with this.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|ended| ended.is_none())
            && let Err(error) = self.0.kill()
        {
            eprintln!("xtask: cannot end qemu: {error}");
        }
        if let Err(error) = self.0.wait() {
            eprintln!("xtask: cannot wait for qemu: {error}");
        }
    }
}

/// Makes the console's file, so that it is there whatever happens.
///
/// # Errors
/// When it cannot be made.
pub(super) fn empty(console: &Path) -> anyhow::Result<()> {
    File::create(console).map(drop).with_context(|| format!("cannot make {}", console.display()))
}
