package ec2

// lastRule is the number of the entry that ends every network ACL.
const lastRule = 32767
