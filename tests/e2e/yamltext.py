"""Writes a configuration as a person would: block style, one key a line."""

import re

_PLAIN = re.compile(r"[A-Za-z0-9_./%-][A-Za-z0-9_./%:-]*")


def scalar(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if _PLAIN.fullmatch(value):
        return value
    return "'" + value.replace("'", "''") + "'"


def dump(value, indent=0):
    """The lines of a mapping of mappings, lists, text, numbers and booleans."""
    pad = "  " * indent
    lines = []
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            lines.append(f"{pad}{key}:")
            lines += dump(inner, indent + 1)
        elif isinstance(inner, list):
            lines.append(f"{pad}{key}:")
            lines += _dump_list(inner, indent + 1)
        else:
            lines.append(f"{pad}{key}: " + ("{}" if inner == {} else scalar(inner)))
    return lines


def _dump_list(items, indent):
    pad = "  " * indent
    lines = []
    for item in items:
        if isinstance(item, dict):
            inner = dump(item, indent + 1)
            lines += [f"{pad}- {inner[0].lstrip()}", *inner[1:]]
        else:
            lines.append(f"{pad}- {scalar(item)}")
    return lines
