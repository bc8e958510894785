"""What is plugged into this machine, and may it be trusted to capture.

A library for the console: it prints nothing and imports no other room. It changes nothing, but for
`firmware_update` and `license_install`, which write to adapters by way of `writing`.
`ports.read_ports()` takes the inventory, `checks.run_checks()` judges it.

Three steps are kept apart. *Readers* fetch bytes from the kernel (`sysfs`, `ethtool`, `rtnetlink`,
`storage`, `clock`, `engine`), parsers beside them turn those bytes into frozen values, and the
functions in `checks` turn values into verdicts without touching the machine. `explain` has the
parsers of other programs' outputs, recorded or asked for by `programs`; `firmware` and `licenses`
use them.
"""
