#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A GDBus client as a desktop indicator would be one: GDBusObjectManagerClient over ObjectManager, signals of Manager1, and
properties from the cache. Adds a worker, runs a task, drains the worker, and prints what it saw as a sorted list of words.
"""
import sys

from gi.repository import Gio, GLib

NAME, PATH, MANAGER = "org.parexec", "/org/parexec", "org.parexec.Manager1"
loop = GLib.MainLoop()
seen = set()


def call(method, arguments, reply, done):
    def finish(connection, result):
        done(connection.call_finish(result).unpack())
    bus.call(NAME, PATH, MANAGER, method, arguments, GLib.VariantType(reply), Gio.DBusCallFlags.NONE, 30000, None, finish)


def on_signal(_connection, _sender, _path, _interface, signal, parameters):
    seen.add(signal)
    if signal == "WorkerStateChanged":
        seen.add("state:" + parameters.unpack()[2])
    if signal == "BatchFinished":
        seen.add("succeeded:%d" % parameters.unpack()[1]["succeeded"])
        call("Drain", GLib.Variant("(s)", (worker.rsplit("/", 1)[1],)), "()", lambda _: None)
    if signal == "WorkerRemoved":
        GLib.timeout_add(400, loop.quit)


def on_properties(_client, proxy, _interface, changed, _invalidated):
    for name in changed.unpack():
        seen.add("changed:" + name)


def on_worker(reply):
    global worker
    worker, = reply
    proxy = objects.get_object(worker).get_interface("org.parexec.Worker1")
    seen.add("cached:%s:%s" % (proxy.get_cached_property("State").unpack(), proxy.get_cached_property("Name").unpack()))
    task = {"argv": GLib.Variant("aay", [b"sleep", b"0.5"])}
    call("Submit", GLib.Variant("(aa{sv}a{sv})", ([task], {})), "(ttu)", lambda _: None)


bus = Gio.bus_get_sync(Gio.BusType.SESSION if "--session" in sys.argv else Gio.BusType.SYSTEM)
objects = Gio.DBusObjectManagerClient.new_sync(bus, Gio.DBusObjectManagerClientFlags.NONE, NAME, PATH, None, None, None)
objects.connect("object-added", lambda _m, o: seen.add("object-added"))
objects.connect("object-removed", lambda _m, o: seen.add("object-removed"))
objects.connect("interface-proxy-properties-changed", lambda m, o, p, c, i: on_properties(m, p, None, c, i))
bus.signal_subscribe(NAME, MANAGER, None, PATH, None, Gio.DBusSignalFlags.NONE, on_signal)
call("Subscribe", None, "()", lambda _: None)
options = {"name": GLib.Variant("s", "indicator"), "memory-max": GLib.Variant("t", 100 << 20),
           "force": GLib.Variant("b", True)}
call("AddWorker", GLib.Variant("(a{sv})", (options,)), "(o)", on_worker)
GLib.timeout_add_seconds(60, loop.quit)
loop.run()
print("\n".join(sorted(seen)))
