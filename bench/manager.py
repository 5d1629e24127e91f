# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.parexec.Manager1 over GDBus, one connection: what a program that lives longer than a command meets."""

import time

from gi.repository import Gio, GLib

NAME = 'org.parexec'
PATH = '/org/parexec'
INTERFACE = 'org.parexec.Manager1'
TIMEOUT_MSEC = 60000


class Manager:
    """Calls block; errors are GLib.Error."""

    def __init__(self):
        self.bus = Gio.bus_get_sync(Gio.BusType.SYSTEM)

    def call(self, method, arguments=None, interface=INTERFACE):
        answer = self.bus.call_sync(NAME, PATH, interface, method, arguments, None, Gio.DBusCallFlags.NONE, TIMEOUT_MSEC)
        return answer.unpack()

    def ping(self):
        self.call('Ping', interface='org.freedesktop.DBus.Peer')

    def status(self):
        return self.call('Status')[0]

    def add_worker(self, memory_bytes):
        options = {'memory-max': GLib.Variant('t', memory_bytes), 'force': GLib.Variant('b', True)}
        return self.call('AddWorker', GLib.Variant('(a{sv})', (options,)))[0].rpartition('/')[2]

    def remove_workers(self, ids):
        """Returns when they are gone."""
        for worker in ids:
            self.call('Abort', GLib.Variant('(s)', (worker,)))
        while set(ids) & {worker['id'] for worker in self.status()['workers'] if worker['state'] not in ('dead', 'failed')}:
            time.sleep(0.01)

    def submit(self, argv, **keys):
        """The batch. keys: others of a task, as variants."""
        task = {'argv': GLib.Variant('aay', [word.encode() for word in argv]), **keys}
        return self.call('Submit', GLib.Variant('(aa{sv}a{sv})', ([task], {})))[0]

    def cancel(self, batch):
        return self.call('Cancel', GLib.Variant('(a{sv})', ({'batch': GLib.Variant('t', batch)},)))[0]

    def queue_length(self):
        return self.status()['queue']['queued']
