// npm `buttplug` 5.0.2 and 4.0.2: spec v4.
import { leaver, library, play, say, until, url } from "./scene.mjs";

const { ButtplugClient, ButtplugNodeWebsocketClientConnector, DeviceOutput, InputType } = library;

// The library's own `hasOutput` of a device asks more of the language than Node.js 20 has.
const has = (device, test) => [...device.features.values()].some(test);

const KINDS = ["Vibrate", "Rotate", "Oscillate", "Constrict", "Temperature", "Led", "Position"];

play(async () => {
  const client = new ButtplugClient("scene v4");
  await client.connect(new ButtplugNodeWebsocketClientConnector(url));
  say("connected");

  await client.startScanning();
  const devices = () => [...client.devices.values()];
  const named = () => devices().find((device) => device.name === leaver);
  await until(client, ["deviceadded"], () => named() && devices().length > 1, "the devices");
  await client.stopScanning();
  say("devices", { names: devices().map((device) => device.name) });

  const kinds = new Set();
  for (const device of devices()) {
    for (const kind of KINDS.filter((kind) => has(device, (feature) => feature.hasOutput(kind)))) {
      await device.runOutput(DeviceOutput[kind].steps(1));
      kinds.add(kind);
    }
    if (has(device, (feature) => feature.hasOutput("HwPositionWithDuration"))) {
      await device.runOutput(DeviceOutput.PositionWithDuration.steps(10, 100));
      kinds.add("HwPositionWithDuration");
    }
  }
  say("drove", { kinds: [...kinds] });

  if (!has(named(), (feature) => feature.hasInput(InputType.Battery))) throw new Error("the device shows no battery");
  const percent = await named().battery();
  say("battery", { level: percent / 100 });

  say("leave");
  await until(client, ["deviceremoved"], () => !named(), "the device to leave");
  say("left");
  await client.startScanning();
  await until(client, ["deviceadded"], named, "the device to return");
  await client.stopScanning();
  say("returned");

  await named().runOutput(DeviceOutput.Vibrate.steps(2));
  await client.stopAllDevices();
  say("stopped");
  await client.disconnect();
});
