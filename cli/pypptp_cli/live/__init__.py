"""The live table of ``pypptp top``.

rows.py      two samples of a server -> rows, sorted
table.py     rows -> what is drawn
keyboard.py  single keys of a terminal
"""
