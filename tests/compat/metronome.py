"""A program that says something twenty times a second.

supervisord looks around whenever a program says something, and otherwise once a second.
"""

import os
import time

while True:
    os.write(1, b"tick\n")
    time.sleep(0.05)
