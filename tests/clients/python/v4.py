"""PyPI `buttplug` 1.0.0: spec v4."""

from buttplug import ButtplugClient, DeviceOutputCommand, OutputType
from scene import LEAVER, URL, play, say, until


async def scene():
    client = ButtplugClient("scene v4")
    await client.connect(URL)
    say("connected")

    def named():
        return next((device for device in client.devices.values() if device.name == LEAVER), None)

    await client.start_scanning()
    await until(lambda: named() and len(client.devices) > 1, "the devices")
    await client.stop_scanning()
    say("devices", names=[device.name for device in client.devices.values()])

    kinds = set()
    for device in client.devices.values():
        for kind in OutputType:
            if not device.has_output(kind):
                continue
            moves = kind in (OutputType.POSITION_WITH_DURATION,)
            await device.run_output(DeviceOutputCommand(kind, 0.5, 100 if moves else None))
            kinds.add(str(kind.value))
    say("drove", kinds=sorted(kinds))
    say("battery", level=await named().battery())

    say("leave")
    await until(lambda: named() is None, "the device to leave")
    say("left")
    await client.start_scanning()
    await until(named, "the device to return")
    await client.stop_scanning()
    say("returned")

    await named().run_output(DeviceOutputCommand(OutputType.VIBRATE, 0.75))
    await client.stop_all_devices()
    say("stopped")
    await client.disconnect()


play(scene)
