"""What `causeway bench` and `causeway eval` run."""
