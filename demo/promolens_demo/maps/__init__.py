"""A stand-in map service: Kakao Local, Overpass and Naver local search on loopback.

It knows one table of invented stores, so that whoever asks for stores is shown and tested without
asking anything of a real service. Every way in which such a service fails can be switched on.
"""
