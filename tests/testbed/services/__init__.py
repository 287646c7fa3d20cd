"""The shop's services, one module each: plain applications that know nothing of Faultline."""
