"""Stand-ins for other packages, so that their scripts run with only the import lines changed."""
