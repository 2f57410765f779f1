# What a payload does to the board, in the states of Mender's update modules.
