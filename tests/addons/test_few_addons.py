"""mitmproxy is imported without its programs' addons."""

import subprocess
import sys

SCRIPT = """
import sys
from wiretape_mitm.few_addons import leave_out_addons
leave_out_addons()
from wiretape_mitm import embedded, hooks
from mitmproxy.addons import proxyserver
import mitmproxy.addons
assert mitmproxy.addons.proxyserver is proxyserver is embedded.proxyserver
print(*sys.modules)
"""


def test_only_the_addons_that_are_asked_for_are_imported() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    modules = set(ran.stdout.split())
    assert "mitmproxy.addons.proxyserver" in modules
    assert modules & {"flask", "ldap3", "mitmproxy.addons.dumper"} == set()


def test_a_package_that_is_there_stays() -> None:
    script = (
        "import mitmproxy.addons as before, sys; from wiretape_mitm import few_addons;"
        "few_addons.leave_out_addons(); assert sys.modules['mitmproxy.addons'] is before;"
        "assert before.default_addons"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
