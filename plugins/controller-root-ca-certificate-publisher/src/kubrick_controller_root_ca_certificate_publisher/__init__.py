"""The root-ca-certificate-publisher controller."""
