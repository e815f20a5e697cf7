"""Stand-in shops: one small site per chain on loopback, with the structure of the real pages.

They sell the invented catalogue, so that crawlers are shown, tested and measured without asking
anything of a real shop. Every way in which a shop can go wrong can be switched on.
"""
