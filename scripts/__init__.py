"""What installs and builds a checkout."""
