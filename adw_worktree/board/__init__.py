"""The board: one page and one API over the features, phases and slots of this machine."""
