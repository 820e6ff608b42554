"""The command line: arguments, help, output."""
