"""Methods of signal control against each other, on SUMO scenarios and on sites."""
