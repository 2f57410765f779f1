# One file per server protocol; each offers the interface that update.py names.
