import sys

from queensmtp_verify.command_line import main

sys.exit(main())
