"""A network of its own for a run: loopback only, so that nothing CMD does can go out.

Linux alone has it: a network name space, made by who may make one (root), or within a user name
space, which most systems let every user make. What is there of it is tried in a child first: an
AppArmor profile may let the name space be made and its loopback not be set up, and there is no way
back out of one.
"""

import os
import socket
import struct
import sys
from ipaddress import ip_address
from typing import Final

from wiretape.core.errors import ConfigError, reason_of

from .settings import Settings, in_ci

_GET_FLAGS: Final = 0x8913  # SIOCGIFFLAGS, netdevice(7)
_SET_FLAGS: Final = 0x8914
_UP: Final = 1
_REQUEST: Final = struct.Struct("16sH14x")
_ADVICE: Final = (
    "; where the kernel or a container forbids it, allow unprivileged user name spaces"
    " (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns=0;"
    " docker run --cap-add SYS_ADMIN)"
)


def why_not() -> str | None:
    """Say why this process cannot be isolated; None if it can. Nothing changes."""
    if sys.platform != "linux" or not hasattr(os, "unshare"):
        return "it needs Linux and its name spaces"
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _enter()
        except Exception as error:
            os.write(writing, reason_of(error).encode() or b"?")
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        reason = file.read().decode()
    os.waitpid(child, 0)
    return f"cannot be had here ({reason}){_ADVICE}" if reason else None


def isolate_if_wanted(settings: Settings, *, has_command: bool) -> bool:
    """Move this process, and all it starts, to a network that has loopback alone: where that is
    asked for, and in continuous integration where it can be had. To be called before there is a
    second thread.

    Raises ConfigError where it is asked for and cannot be had.
    """
    if settings.isolate is False or (settings.isolate is None and not in_ci(settings.environ)):
        return False
    reason = _contradiction(settings, has_command=has_command) or why_not()
    if reason is None:
        _enter()
        return True
    if settings.isolate:
        raise ConfigError(f"--isolate: {reason}; nothing was started")
    return False


def _contradiction(settings: Settings, *, has_command: bool) -> str | None:
    if settings.mode != "replay":
        return f"{settings.mode} may have to contact providers; only replay can be isolated"
    if not has_command:
        return "it is CMD that is isolated, and there is none"
    if settings.config.other_hosts == "tunnel":
        return "other_hosts: tunnel in the configuration wants what this prevents; keep one"
    address = ip_address(settings.config.host)
    if not address.is_loopback and not address.is_unspecified:
        return f"listen.host {address} is not there in a network with loopback only"
    return None


def _enter() -> None:
    user, group = os.geteuid(), os.getegid()
    try:
        # Within a user name space files of other users could not be written, not even by root.
        os.unshare(os.CLONE_NEWNET)
    except PermissionError:
        os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNET)
        # user_namespaces(7): a group may be mapped once nobody can drop one.
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    _set_loopback_up()


def _set_loopback_up() -> None:
    from fcntl import ioctl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        answer = ioctl(control, _GET_FLAGS, _REQUEST.pack(b"lo", 0))
        flags = _REQUEST.unpack(answer)[1]
        ioctl(control, _SET_FLAGS, _REQUEST.pack(b"lo", flags | _UP))
