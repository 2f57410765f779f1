# The table of an update's states; their names are those of Mender's update modules.
# SPDX-License-Identifier: MIT

# state: (next if it worked, next if it failed)
TABLE = {
    "download": ("install", "cleanup"),
    "install": ("reboot", "rollback"),
    "reboot": ("verify_reboot", "rollback"),
    "verify_reboot": ("commit", "rollback"),
    "commit": ("cleanup", "rollback"),
    "rollback": ("rollback_reboot", "failure"),
    "rollback_reboot": ("verify_rollback", "failure"),
    "verify_rollback": ("failure", "rollback_reboot"),
    "failure": ("cleanup", "cleanup"),
    "cleanup": ("report", "report"),
    "report": (None, None),
}

# Where a start goes on that finds this state in the journal. An install that was cut may have
# switched slots already; the reboots are what led to this start. The others are done again.
# A download left nothing active: it is not taken up, the server offers the deployment again.
RESTART = {
    "install": "rollback",
    "reboot": "verify_reboot",
    "rollback_reboot": "verify_rollback",
}
TRIAL = ("reboot", "verify_reboot", "commit")
BACK = ("rollback", "rollback_reboot", "verify_rollback")
MAX_STARTS = 3  # during a download, and on trial
