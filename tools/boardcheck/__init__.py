"""What tools/check_boards.py is made of: readers for the languages of a board's build files."""
