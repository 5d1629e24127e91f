#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares what a running service says of an interface with the published XML.

usage: introspection.py system|session OBJECT XML
Prints one line for each difference; exits 1 if there is any. Compared are methods, signals and properties with the names,
order, types and directions of their arguments, access, and the annotation on changes.
"""
import json
import subprocess
import sys
import xml.etree.ElementTree as ET

CHANGES = "org.freedesktop.DBus.Property.EmitsChangedSignal"


def annotation(element, name, default):
    for a in element.findall("annotation"):
        if a.get("name") == name:
            return a.get("value")
    return default


def describe(interface):
    """Every member as one line."""
    members = {}
    for method in interface.findall("method"):
        arguments = [f'{a.get("direction", "in")} {a.get("type")} {a.get("name")}' for a in method.findall("arg")]
        members["method " + method.get("name")] = ", ".join(arguments)
    for signal in interface.findall("signal"):
        members["signal " + signal.get("name")] = ", ".join(f'{a.get("type")} {a.get("name")}' for a in signal.findall("arg"))
    for prop in interface.findall("property"):
        changes = annotation(prop, CHANGES, "true")
        members["property " + prop.get("name")] = f'{prop.get("type")} {prop.get("access")} {changes}'
    return members


def main():
    bus, path, published = sys.argv[1:]
    command = ["busctl", "--" + ("user" if bus == "session" else "system"), "call", "--json=short", "org.parexec", path,
               "org.freedesktop.DBus.Introspectable", "Introspect"]
    text = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["data"][0]
    live = {i.get("name"): describe(i) for i in ET.fromstring(text).findall("interface")}
    different = False
    for interface in ET.parse(published).getroot().findall("interface"):
        name, wanted = interface.get("name"), describe(interface)
        said = live.get(name, {})
        for member in sorted(set(wanted) | set(said)):
            if wanted.get(member) != said.get(member):
                different = True
                print(f"{name}: {member}: published: {wanted.get(member)}; running: {said.get(member)}")
    sys.exit(different)


main()
