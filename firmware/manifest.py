# What every MicroPython build with instar freezes, beside the port's own modules and the board's:
# boards/NAME/manifest.py includes it.
#
# options.app: absolute path of a folder with an application, `app` and what it needs; None: the
# sample application.
# Each name is frozen once. boot.py sees to it that no file hides one of these (RESERVED in
# lib/instar/boot.py), and the application's slots /a and /b stay on the file system.
# SPDX-License-Identifier: MIT

package("instar", base_path="../lib", opt=3)
module("boot.py", opt=3)
module("main.py", opt=3)
module("start.py", opt=3)
if options.app:
    freeze(options.app, opt=3)
else:
    module("app.py", opt=3)
