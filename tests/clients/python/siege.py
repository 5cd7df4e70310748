"""PyPI `buttplug-py` 0.2.0, which speaks the spec version that it is told to: v3, and v2 without its battery call."""

import sys

from buttplug import Client, ProtocolSpec, WebsocketConnector
from scene import LEAVER, URL, play, say, until

VERSION = ProtocolSpec[sys.argv[3]]


async def scene():
    client = Client(f"scene {VERSION.name}", VERSION)
    await client.connect(WebsocketConnector(URL, logger=client.logger))
    say("connected")

    def named():
        return next((device for device in client.devices.values() if device.name == LEAVER), None)

    await client.start_scanning()
    await until(lambda: named() and len(client.devices) > 1, "the devices")
    # This client waits for ScanningFinished after it has stopped.
    await (await client.stop_scanning())
    say("devices", names=[device.name for device in client.devices.values()])

    kinds = set()
    for device in client.devices.values():
        for actuator in device.actuators:
            await actuator.command(0.5)
            kinds.add(getattr(actuator, "type", "Vibrate"))
        for actuator in device.linear_actuators:
            await actuator.command(100, 0.5)
            kinds.add("HwPositionWithDuration")
        for actuator in device.rotatory_actuators:
            await actuator.command(0.5, False)
            kinds.add("Rotate")
    say("drove", kinds=sorted(str(kind) for kind in kinds))

    if VERSION == ProtocolSpec.v3:
        battery = next(sensor for sensor in named().sensors if "Battery" in str(sensor.type))
        reading = await battery.read()
        say("battery", level=(reading[0] if isinstance(reading, list) else reading) / 100)

    say("leave")
    await until(lambda: named() is None, "the device to leave")
    say("left")
    await client.start_scanning()
    await until(named, "the device to return")
    await (await client.stop_scanning())
    say("returned")

    await named().actuators[0].command(0.75)
    await client.stop_all()
    say("stopped")
    await client.disconnect()


play(scene)
