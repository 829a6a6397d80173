from queensmtp.command_line import main

main()
