"""What every test takes for granted."""

import signal

# A shell ignores Ctrl-C for what it runs in the background, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
