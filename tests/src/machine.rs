//! A machine whose HID devices and USB serial ports a test makes: `/sys`, `/dev` and the kernel's events, as the service sees them.
//!
//! The service runs below umockdev, a library that leads its file names below `/sys` and `/dev` into a folder, and its socket for
//! events of the kernel to one in that folder. What umockdev brings along to fill the folder is for programs in C and made for
//! one machine a process, so this fills it itself. The nodes are pseudo terminals.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::{fs::symlink, net::UnixDatagram},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    task::JoinSet,
};

use crate::pty::{HidNode, SerialDevice};

/// How a device is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plug {
    /// At that port of a hub, such as `1-4`.
    Usb(&'static str),
    /// Paired, with no USB device above its node.
    Bluetooth,
}

/// What a device is to the kernel.
#[derive(Debug, Clone, Copy)]
pub struct Hardware {
    /// Where it is.
    pub plug: Plug,
    /// Its vendor's id.
    pub vendor: u16,
    /// Its id.
    pub product: u16,
    /// What it calls itself.
    pub name: &'static str,
    /// Its serial number; over Bluetooth, its address. May be empty.
    pub number: &'static str,
}

/// A HID interface of a device.
#[derive(Debug, Clone, Copy)]
pub struct Interface {
    /// Its number, which counts on USB only.
    pub number: u8,
    /// The name of its node, such as `hidraw0`.
    pub node: &'static str,
    /// Usage page and usage of its reports.
    pub usage: (u16, u16),
}

/// A node, as it is announced.
#[derive(Debug, Clone)]
struct Announced {
    subsystem: &'static str,
    name: &'static str,
    /// Its folder below `/sys`.
    folder: String,
}

/// A machine. Its service must be started with [`Launch::on`](crate::service::Launch::on).
#[derive(Debug)]
pub struct Machine {
    folder: TempDir,
    /// By the folder of the device below `/sys`.
    plugged: BTreeMap<String, Vec<Announced>>,
    /// HID devices that there ever were: the kernel numbers them.
    count: u16,
    _ioctls: JoinSet<()>,
}

impl Machine {
    /// A machine without devices.
    ///
    /// # Errors
    /// Its folder cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("buttplugd-machine-").tempdir()?;
        for below in ["dev", "ioctl", "sys/bus/hid", "sys/bus/usb"] {
            fs::create_dir_all(folder.path().join(below))?;
        }
        for class in ["hidraw", "input", "tty"] {
            fs::create_dir_all(folder.path().join("sys/class").join(class))?;
        }
        let mut ioctls = JoinSet::new();
        ioctls.spawn(pass_on_all(UnixListener::bind(folder.path().join("ioctl/_default"))?));
        Ok(Self { folder, plugged: BTreeMap::new(), count: 0, _ioctls: ioctls })
    }

    /// Its root, which holds `sys` and `dev`.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Plugs in a HID device, and gives its nodes in the order of the interfaces.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn plug_in_hid(
        &mut self,
        hardware: &Hardware,
        interfaces: &[Interface],
    ) -> anyhow::Result<Vec<HidNode>> {
        let Hardware { plug, vendor, product, name, number } = hardware;
        let (mut nodes, mut announced) = (Vec::new(), Vec::new());
        for interface in interfaces {
            self.count += 1;
            let (above, bus) = match plug {
                Plug::Usb(_) => (self.usb_interface(hardware, interface.number)?, 3),
                Plug::Bluetooth => (folder_of(hardware), 5),
            };
            let hid = format!("{above}/{bus:04X}:{vendor:04X}:{product:04X}.{:04X}", self.count);
            let id = format!("HID_ID={bus:04X}:{vendor:08X}:{product:08X}");
            self.write(&hid, "uevent", format!("{id}\nHID_NAME={name}\nHID_UNIQ={number}\n"))?;
            self.write(&hid, "report_descriptor", report_descriptor(interface.usage))?;
            self.link(&hid, "subsystem", "bus/hid")?;
            let folder = format!("{hid}/hidraw/{}", interface.node);
            self.write(&folder, "uevent", format!("DEVNAME={}\n", interface.node))?;
            self.link(&folder, "device", &hid)?;
            nodes.push(HidNode::plug_in(&self.node(interface.node))?);
            announced.push(Announced { subsystem: "hidraw", name: interface.node, folder });
        }
        self.come(hardware, announced)?;
        Ok(nodes)
    }

    /// Plugs in the adapter of a serial port, which has that name (`ttyACM0`).
    ///
    /// # Errors
    /// It cannot be made.
    pub fn plug_in_serial(
        &mut self,
        hardware: &Hardware,
        name: &'static str,
    ) -> anyhow::Result<SerialDevice> {
        let interface = self.usb_interface(hardware, 0)?;
        let folder = format!("{interface}/tty/{name}");
        self.write(&folder, "uevent", format!("DEVNAME={name}\n"))?;
        self.link(&folder, "device", &interface)?;
        let device = SerialDevice::plug_in(&self.node(name))?;
        self.come(hardware, vec![Announced { subsystem: "tty", name, folder }])?;
        Ok(device)
    }

    /// Pulls out what is plugged in there. Its nodes are dropped by whoever has them, before or after.
    ///
    /// # Errors
    /// There is nothing, or it cannot be removed.
    pub fn unplug(&mut self, hardware: &Hardware) -> anyhow::Result<()> {
        let folder = folder_of(hardware);
        let nodes = self.plugged.remove(&folder).context("nothing is plugged in there")?;
        for node in &nodes {
            fs::remove_file(self.sys("class").join(node.subsystem).join(node.name))?;
            match fs::remove_file(self.node(node.name)) {
                // It went with its device.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
        fs::remove_dir_all(self.sys(&folder))?;
        nodes.iter().try_for_each(|node| self.announce("remove", node))
    }

    /// Says that something of the device has changed, as udev does once it has set who may open its nodes.
    ///
    /// # Errors
    /// Nothing is plugged in there, or a service that listens cannot be told.
    pub fn changed(&self, hardware: &Hardware) -> anyhow::Result<()> {
        let nodes = self.plugged.get(&folder_of(hardware)).context("nothing is plugged in there")?;
        nodes.iter().try_for_each(|node| self.announce("change", node))
    }

    fn node(&self, name: &str) -> PathBuf {
        self.path().join("dev").join(name)
    }

    fn sys(&self, below: &str) -> PathBuf {
        self.path().join("sys").join(below)
    }

    fn write(&self, folder: &str, name: &str, content: impl AsRef<[u8]>) -> io::Result<()> {
        fs::create_dir_all(self.sys(folder))?;
        fs::write(self.sys(folder).join(name), content)
    }

    /// Makes a link in a folder to another below `/sys`. It is relative, as the kernel's are.
    fn link(&self, folder: &str, name: &str, target: &str) -> io::Result<()> {
        let up = "../".repeat(folder.split('/').count());
        symlink(format!("{up}{target}"), self.sys(folder).join(name))
    }

    /// Makes a USB device with that interface, and gives the interface's folder.
    fn usb_interface(&self, hardware: &Hardware, number: u8) -> anyhow::Result<String> {
        let Plug::Usb(port) = hardware.plug else { anyhow::bail!("only a USB device has interfaces") };
        let device = folder_of(hardware);
        let interface = format!("{device}/{port}:1.{number}");
        if !self.sys(&device).exists() {
            self.write(&device, "uevent", "DEVTYPE=usb_device\n")?;
            self.write(&device, "idVendor", format!("{:04x}\n", hardware.vendor))?;
            self.write(&device, "idProduct", format!("{:04x}\n", hardware.product))?;
            self.write(&device, "product", format!("{}\n", hardware.name))?;
            if !hardware.number.is_empty() {
                self.write(&device, "serial", format!("{}\n", hardware.number))?;
            }
            self.link(&device, "subsystem", "bus/usb")?;
        }
        self.write(&interface, "uevent", "DEVTYPE=usb_interface\n")?;
        self.write(&interface, "bInterfaceNumber", format!("{number:02x}\n"))?;
        self.link(&interface, "subsystem", "bus/usb")?;
        Ok(interface)
    }

    /// Lists the nodes of a device that is there, and says so.
    fn come(&mut self, hardware: &Hardware, nodes: Vec<Announced>) -> anyhow::Result<()> {
        for node in &nodes {
            let class = format!("class/{}", node.subsystem);
            self.link(&node.folder, "subsystem", &class)?;
            self.link(&class, node.name, &node.folder)?;
        }
        nodes.iter().try_for_each(|node| self.announce("add", node))?;
        self.plugged.insert(folder_of(hardware), nodes);
        Ok(())
    }

    /// Tells every service of this machine, in the words of the kernel.
    fn announce(&self, action: &str, node: &Announced) -> anyhow::Result<()> {
        let Announced { subsystem, name, folder } = node;
        let words = [
            format!("{action}@/{folder}"),
            format!("ACTION={action}"),
            format!("DEVPATH=/{folder}"),
            format!("SUBSYSTEM={subsystem}"),
            format!("DEVNAME={name}"),
        ];
        let message = words.map(|word| word + "\0").concat();
        let socket = UnixDatagram::unbound()?;
        // Not waited for: a service that does not read is a failed test.
        socket.set_nonblocking(true)?;
        for entry in fs::read_dir(self.path())? {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with("event") {
                continue;
            }
            match socket.send_to(message.as_bytes(), entry.path()) {
                // Left by a service that has ended.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                sent => drop(sent.context("a service does not take an event")?),
            }
        }
        Ok(())
    }
}

/// The folder of a device below `/sys`.
fn folder_of(hardware: &Hardware) -> String {
    match hardware.plug {
        Plug::Usb(port) => format!("devices/pci0000:00/usb1/{port}"),
        Plug::Bluetooth => format!("devices/virtual/misc/uhid/{}", hardware.number),
    }
}

/// What a device says of its reports: one collection of that usage, 63 bytes each way.
fn report_descriptor((page, usage): (u16, u16)) -> Vec<u8> {
    let ([page, page_high], [usage, usage_high]) = (page.to_le_bytes(), usage.to_le_bytes());
    let head = [0x06, page, page_high, 0x0a, usage, usage_high, 0xa1, 0x01];
    let bytes = [0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x3f];
    let fields = [0x09, 0x01, 0x81, 0x02, 0x09, 0x01, 0x91, 0x02, 0xc0];
    [&head[..], &bytes, &fields].concat()
}

/// umockdev asks here, for every device that is opened, what to do with its ioctls.
async fn pass_on_all(listener: UnixListener) {
    let mut opened = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        opened.spawn(pass_on(connection));
    }
}

/// Has the ioctls of an open node done on what is behind it, a terminal. The messages are three machine words: what is said, and two
/// numbers that belong to it.
async fn pass_on(mut umockdev: UnixStream) -> io::Result<()> {
    const DONE: usize = 3;
    const RUN: usize = 4;
    loop {
        hear(&mut umockdev).await?;
        say(&mut umockdev, [RUN, 0, 0]).await?;
        let [_, result, errno] = hear(&mut umockdev).await?;
        say(&mut umockdev, [DONE, result, errno]).await?;
    }
}

async fn hear(umockdev: &mut UnixStream) -> io::Result<[usize; 3]> {
    let mut words = [[0; size_of::<usize>()]; 3];
    for word in &mut words {
        umockdev.read_exact(word).await?;
    }
    Ok(words.map(usize::from_ne_bytes))
}

async fn say(umockdev: &mut UnixStream, words: [usize; 3]) -> io::Result<()> {
    umockdev.write_all(&words.map(usize::to_ne_bytes).concat()).await
}
