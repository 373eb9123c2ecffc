"""`umbra bench resources`: the shadow manager on traces and on the testbed, and whether limits really hold."""
