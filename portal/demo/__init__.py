"""The main job on real data: a mortgage model is registered, examined, argued over, signed, served and revoked."""
