"""How well the camera detectors find incidents and count vehicles: `causeway eval detectors`."""
