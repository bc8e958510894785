"""Screens of the console, one a file."""
