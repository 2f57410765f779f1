# What every fault in every state has to lead to, written from docs/reference.md's table of states
# and from what each kind of installer can do; nothing here is computed by the agent.
#
# A row: state, or state/how it was reached; faults; the states over all starts, with a | for each
# start that follows; the statuses that the server took; the software that runs, and the name it
# has ("?": with Mender's suffix _INCONSISTENT, "-": not looked at). never: this kind of installer
# does not come by there.
#
# How: good (if not said), sick (the health check fails), cut (the power failed in install).
# Faults: error, errors (every time); a power cut before (saved, not acted), in (the action begins,
# and changes nothing) or after (acted, before the next state is saved); hangs, hangs ever (as in).
# SPDX-License-Identifier: MIT

STATES = {
    "D": "download",
    "I": "install",
    "B": "reboot",
    "V": "verify_reboot",
    "C": "commit",
    "R": "rollback",
    "Z": "rollback_reboot",
    "W": "verify_rollback",
    "F": "failure",
    "K": "cleanup",
    "P": "report",
    "|": "|",
}
STATUSES = {
    "d": "downloading",
    "i": "installing",
    "r": "rebooting",
    "S": "success",
    "F": "failure",
}

SLOTS = """
D       error, errors                         D K P                          d F          old v1
D       before                                D | D I B | V C K P            d i r i S    new v2
D       in, after, hangs                      D | D I B | V C K P            d d i r i S  new v2
D       hangs ever                            D | D | D | D | D K P          d d d d F    old v1
I       error, errors                         D I R W F K P                  d i F        old v1
I       before                                D I | R W F K P                d F          old v1
I       in, hangs, hangs ever                 D I | R W F K P                d i F        old v1
I       after                                 D I | R Z | W F K P            d i F        old v1
B       error, errors                         D I B R W F K P                d i r F      old v1
B       before                                D I B | V C K P                d i i S      new v2
B       in, hangs, hangs ever                 D I B | V C K P                d i r i S    new v2
V       error, errors                         D I B | V R Z | W F K P        d i r F      old v1
V       before, in, after, hangs, hangs ever  D I B | V | V R W F K P        d i r F      old v1
C       error, errors                         D I B | V C R Z | W F K P      d i r i F    old v1
C       before                                D I B | V C | C R W F K P      d i r F      old v1
C       in, hangs, hangs ever                 D I B | V C | F K P            d i r i F    old v1
C       after                                 D I B | V C | C K P            d i r i S    new v2
R/sick  error, errors                         D I B | V C R F K P |          d i r i F    old v1?
R/sick  before, in, after, hangs              D I B | V C R | R W F K P      d i r i F    old v1
R/sick  hangs ever                            D I B | V C R|*23 K P          d i r i F    old v1?
Z/sick  error, errors                         D I B | V C R Z F K P |        d i r i F    old v1?
Z/sick  before, in, hangs, hangs ever         D I B | V C R Z | W F K P      d i r i F    old v1
W/sick  error                                 D I B | V C R Z | W W F K P    d i r i F    old v1
W/sick  errors                                D I B | V C R Z | W*21 K P     d i r i F    old v1?
W/sick  before, in, after, hangs              D I B | V C R Z | W | W F K P  d i r i F    old v1
W/sick  hangs ever                            D I B | V C R Z | W|*21 K P    d i r i F    old v1?
F/sick  error, errors                         D I B | V C R Z | W F K P      d i r i F    old v1
F/sick  before, in, after, hangs              D I B | V C R Z | W F | F K P  d i r i F    old v1
F/sick  hangs ever                            D I B | V C R Z | W F|*20 K P  d i r i F    old v1
K       error, errors                         D I B | V C K P                d i r i S    new v2
K       before, in, after, hangs              D I B | V C K | K P            d i r i S    new v2
K       hangs ever                            D I B | V C K|*23 P            d i r i S    new v2
K/sick  error, errors                         D I B | V C R Z | W F K P      d i r i F    old v1
K/sick  before, in, after, hangs              D I B | V C R Z | W F K | K P  d i r i F    old v1
K/sick  hangs ever                            D I B | V C R Z | W F K|*19 P  d i r i F    old v1
P       error, errors                         D I B | V C K P                d i r i      new v2
P       before, in, hangs                     D I B | V C K P | P            d i r i S    new v2
P       after                                 D I B | V C K P | P            d i r i S S  new v2
P/sick  error, errors                         D I B | V C R Z | W F K P      d i r i      old v1
P/sick  before, in, hangs                     D I B | V C R Z | W F K P | P  d i r i F    old v1
P/sick  after                                 D I B | V C R Z | W F K P | P  d i r i F F  old v1
"""

FILES = """
D       error, errors                 D K P                        d F        old v1
D       before                        D | D I C K P                d i i S    new v2
D       in, after, hangs              D | D I C K P                d d i i S  new v2
D       hangs ever                    D | D | D | D | D K P        d d d d F  old v1
I       error, errors                 D I R F K P                  d i F      old v1
I       before                        D I | R F K P                d F        old v1
I       in, after, hangs, hangs ever  D I | R F K P                d i F      old v1
B       never
V       never
C       error, errors                 D I C R F K P                d i i F    old v1
C       before, in, after, hangs      D I C | C K P                d i i S    new v2
C       hangs ever                    D I C | C | C | C | R F K P  d i i F    old v1
R/sick  error, errors                 D I C R F K P                d i i F    new v1?
R/sick  before, in, after, hangs      D I C R | R F K P            d i i F    old v1
R/sick  hangs ever                    D I C R|*25 K P              d i i F    new v1?
Z       never
W       never
F/sick  error, errors                 D I C R F K P                d i i F    old v1
F/sick  before, in, after, hangs      D I C R F | F K P            d i i F    old v1
F/sick  hangs ever                    D I C R F|*24 K P            d i i F    old v1
K       error, errors                 D I C K P                    d i i S    new v2
K       before, in, after, hangs      D I C K | K P                d i i S    new v2
K       hangs ever                    D I C K|*25 P                d i i S    new v2
K/sick  error, errors                 D I C R F K P                d i i F    old v1
K/sick  before, in, after, hangs      D I C R F K | K P            d i i F    old v1
K/sick  hangs ever                    D I C R F K|*23 P            d i i F    old v1
P       error, errors                 D I C K P                    d i i      new v2
P       before, in, hangs             D I C K P | P                d i i S    new v2
P       after                         D I C K P | P                d i i S S  new v2
P/sick  error, errors                 D I C R F K P                d i i      old v1
P/sick  before, in, hangs             D I C R F K P | P            d i i F    old v1
P/sick  after                         D I C R F K P | P            d i i F F  old v1
"""

ONE_WAY = """
D       error, errors             D K P                          d F          old v1
D       before                    D | D I B | V C K P            d i r i S    new v2
D       in, after, hangs          D | D I B | V C K P            d d i r i S  new v2
D       hangs ever                D | D | D | D | D K P          d d d d F    old v1
I       error, errors             D I F K P                      d i F        old v1?
I       before                    D I | R F K P                  d F          old v1?
I       in, hangs, hangs ever     D I | R F K P                  d i F        old v1?
I       after                     D I | R F K P                  d i F        new v1?
B       error, errors             D I B F K P                    d i r F      old v1?
B       before                    D I B | V C K P                d i i S      new v2
B       in, hangs, hangs ever     D I B | V C K P                d i r i S    new v2
V       error, errors             D I B | V F K P                d i r F      new v1?
V       before, in, after, hangs  D I B | V | V C K P            d i r i S    new v2
V       hangs ever                D I B | V | V | V | R F K P    d i r F      new v1?
C       error, errors             D I B | V C F K P              d i r i F    new v1?
C       before, in, after, hangs  D I B | V C | C K P            d i r i S    new v2
C       hangs ever                D I B | V C | C | C | R F K P  d i r i F    new v1?
R/cut   error, errors             D I | R F K P                  d i F        old v1?
R/cut   before                    D I | R | R F K P              d i F        old v1?
Z       never
W       never
F/sick  error, errors             D I B | V C F K P              d i r i F    new v1?
F/sick  before, in, after, hangs  D I B | V C F | F K P          d i r i F    new v1?
F/sick  hangs ever                D I B | V C F|*23 K P          d i r i F    new v1?
K       error, errors             D I B | V C K P                d i r i S    new v2
K       before, in, after, hangs  D I B | V C K | K P            d i r i S    new v2
K       hangs ever                D I B | V C K|*23 P            d i r i S    new v2
K/sick  error, errors             D I B | V C F K P              d i r i F    new v1?
K/sick  before, in, after, hangs  D I B | V C F K | K P          d i r i F    new v1?
K/sick  hangs ever                D I B | V C F K|*22 P          d i r i F    new v1?
P       error, errors             D I B | V C K P                d i r i      new v2
P       before, in, hangs         D I B | V C K P | P            d i r i S    new v2
P       after                     D I B | V C K P | P            d i r i S S  new v2
P/sick  error, errors             D I B | V C F K P              d i r i      new v1?
P/sick  before, in, hangs         D I B | V C F K P | P          d i r i F    new v1?
P/sick  after                     D I B | V C F K P | P          d i r i F F  new v1?
"""

IN_PLACE = """
D       error, errors             D K P                        d F        old v1
D       before                    D | D I C K P                d i i S    new v2
D       in, after, hangs          D | D I C K P                d d i i S  new v2
D       hangs ever                D | D | D | D | D K P        d d d d F  old v1
I       error, errors             D I F K P                    d i F      old v1?
I       before                    D I | R F K P                d F        old v1?
I       in, hangs, hangs ever     D I | R F K P                d i F      old v1?
I       after                     D I | R F K P                d i F      new v1?
B       never
V       never
C       error, errors             D I C F K P                  d i i F    new v1?
C       before, in, after, hangs  D I C | C K P                d i i S    new v2
C       hangs ever                D I C | C | C | C | R F K P  d i i F    new v1?
R/cut   error, errors             D I | R F K P                d i F      old v1?
R/cut   before                    D I | R | R F K P            d i F      old v1?
Z       never
W       never
F/sick  error, errors             D I C F K P                  d i i F    new v1?
F/sick  before, in, after, hangs  D I C F | F K P              d i i F    new v1?
F/sick  hangs ever                D I C F|*25 K P              d i i F    new v1?
K       error, errors             D I C K P                    d i i S    new v2
K       before, in, after, hangs  D I C K | K P                d i i S    new v2
K       hangs ever                D I C K|*25 P                d i i S    new v2
K/sick  error, errors             D I C F K P                  d i i F    new v1?
K/sick  before, in, after, hangs  D I C F K | K P              d i i F    new v1?
K/sick  hangs ever                D I C F K|*24 P              d i i F    new v1?
P       error, errors             D I C K P                    d i i      new v2
P       before, in, hangs         D I C K P | P                d i i S    new v2
P       after                     D I C K P | P                d i i S S  new v2
P/sick  error, errors             D I C F K P                  d i i      new v1?
P/sick  before, in, hangs         D I C F K P | P              d i i F    new v1?
P/sick  after                     D I C F K P | P              d i i F F  new v1?
"""

# What follows where the server aborts the deployment, told with a status ("proof": the second
# installing). By kind: SLOTS, FILES, ONE_WAY, IN_PLACE.
ABORTS = (
    """
downloading  D K P                      none     old v1
installing   D I R W F K P              d        old v1
rebooting    D I B R W F K P            d i      old v1
proof        D I B | V C R Z | W F K P  d i r    old v1
success      D I B | V C K P            d i r i  new v2
""",
    """
downloading  D K P          none   old v1
installing   D I R F K P    d      old v1
proof        D I C R F K P  d i    old v1
success      D I C K P      d i i  new v2
""",
    """
downloading  D K P              none     old v1
installing   D I F K P          d        old v1?
rebooting    D I B F K P        d i      old v1?
proof        D I B | V C F K P  d i r    new v1?
success      D I B | V C K P    d i r i  new v2
""",
    """
downloading  D K P        none   old v1
installing   D I F K P    d      old v1?
proof        D I C F K P  d i    new v1?
success      D I C K P    d i i  new v2
""",
)


def rows(table):
    """Each row's columns, the letters of chains and statuses written out."""
    for line in table.strip().split("\n"):
        columns = [part.strip() for part in line.split("  ") if part.strip()]
        state, slash, how = columns[0].partition("/")
        columns[0] = STATES.get(state, state) + slash + how
        if columns[-1] != "never":
            columns[-3] = _words(columns[-3], STATES)
            columns[-2] = [] if columns[-2] == "none" else _words(columns[-2], STATUSES)
        yield columns


def _words(text, names):
    # "R|*3" is R, start, R, start, R, start.
    words = []
    for letters in text.split(" "):
        letters, _, times = letters.partition("*")
        words += [names[letter] for letter in letters] * int(times or 1)
    return words
