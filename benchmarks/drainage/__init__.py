"""What `causeway eval drainage` compares: pump and gate control on SWMM networks."""
